/** Roads by class: casing below, fill above, bridges over, tunnels dashed. */

import type { ExpressionSpecification, LayerSpecification } from 'maplibre-gl';
import type { Palette } from './palette';

const CLASSES: { name: keyof Palette['road']; classes: string[]; width: [number, number, number]; minzoom: number }[] = [
  { name: 'path', classes: ['footway', 'path', 'cycleway', 'steps', 'track', 'bridleway', 'pedestrian'], width: [0.2, 0.7, 2.5], minzoom: 14 },
  { name: 'service', classes: ['service'], width: [0.2, 1, 7], minzoom: 13 },
  { name: 'minor', classes: ['residential', 'unclassified', 'living_street', 'road'], width: [0.4, 1.9, 13], minzoom: 11 },
  { name: 'secondary', classes: ['tertiary', 'tertiary_link', 'secondary_link'], width: [0.8, 2.9, 17], minzoom: 9 },
  { name: 'secondary', classes: ['secondary'], width: [1, 3.5, 20], minzoom: 8 },
  { name: 'primary', classes: ['primary', 'primary_link', 'trunk_link', 'motorway_link'], width: [1.3, 4.2, 23], minzoom: 7 },
  { name: 'motorway', classes: ['motorway', 'trunk'], width: [1.6, 5, 28], minzoom: 6 },
];

function width(w: [number, number, number], more: number): ExpressionSpecification {
  return ['interpolate', ['exponential', 1.5], ['zoom'], 9, w[0] + more * 0.3, 14, w[1] + more, 18, w[2] + more * 1.6];
}

export function roadLayers(p: Palette): LayerSpecification[] {
  const roads = { source: 'city', 'source-layer': 'road', metadata: { group: 'road' } } as const;
  const round = { 'line-cap': 'round', 'line-join': 'round' } as const;
  const filter = (classes: string[]): ExpressionSpecification => ['in', ['get', 'class'], ['literal', classes]];
  const cased = CLASSES.filter((c) => c.name !== 'path');
  return [
    ...cased.map((c, i): LayerSpecification => ({
      id: `road-casing-${i}`, type: 'line', ...roads, minzoom: Math.max(c.minzoom, 11), filter: filter(c.classes), layout: round,
      paint: { 'line-color': p.casing, 'line-width': width(c.width, 1.4), 'line-opacity': 1 },
    })),
    ...CLASSES.map((c, i): LayerSpecification => ({
      id: `road-${i}`, type: 'line', ...roads, minzoom: c.minzoom, filter: filter(c.classes), layout: round,
      paint: {
        'line-color': p.road[c.name], 'line-width': width(c.width, 0), 'line-opacity': 1,
        ...(c.name === 'path' ? { 'line-dasharray': [2, 1.6] } : {}),
      },
    })),
  ];
}
