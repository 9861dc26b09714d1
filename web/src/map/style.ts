/** The base map's style, made from the city's own tables. Each layer belongs to a group that the layer list switches. */

import type { ExpressionSpecification, LayerSpecification, SourceSpecification, StyleSpecification } from 'maplibre-gl';
import { roadLayers } from './roads';
import { DARK, LIGHT, type Palette } from './palette';

export const BASE = 'city';
export const FONT = ['Noto Sans'];
/** Empty layers that mark where custom layers go in. */
export const GROUND_SLOT = 'slot-ground';
export const POINT_SLOT = 'slot-points';

const LAND: Record<keyof Palette['land'], string[]> = {
  forest: ['forest', 'wood', 'scrub'],
  grass: ['grass', 'park', 'meadow', 'garden', 'recreation_ground', 'village_green', 'cemetery', 'pitch', 'golf_course', 'grassland', 'playground', 'heath', 'allotments'],
  farm: ['farmland', 'farm', 'orchard', 'vineyard', 'farmyard', 'greenhouse_horticulture'],
  built: ['residential', 'education', 'hospital', 'school', 'university', 'civic', 'urban', 'centre', 'dense', 'suburb'],
  industry: ['industrial', 'commercial', 'retail', 'railway', 'port', 'construction', 'quarry', 'landfill', 'military'],
  bare: ['bare_rock', 'rock', 'sand', 'beach', 'scree', 'glacier', 'shingle', 'brownfield', 'parking', 'paved'],
  wetland: ['wetland', 'marsh', 'swamp'],
};

export type Group = 'land' | 'water' | 'building' | 'road' | 'zone' | 'facility' | 'label' | 'overlay';
export type Grouped = LayerSpecification & { metadata?: { group?: Group } };

export function palette(dark: boolean): Palette {
  return dark ? DARK : LIGHT;
}

/** Position 0..1 along the ramp that an overlay gave this feature, or -1. */
export const MARK: ExpressionSpecification = ['coalesce', ['feature-state', 'mark'], -1];

export function source(layer: string): { source: string; 'source-layer': string } {
  return { source: BASE, 'source-layer': layer };
}

/** The style for tiles at `address`. */
export function style(dark: boolean, address: string): StyleSpecification {
  const p = palette(dark);
  const empty: SourceSpecification = { type: 'geojson', data: { type: 'FeatureCollection', features: [] } };
  return {
    version: 8,
    sources: {
      [BASE]: {
        type: 'vector',
        url: `pmtiles://${address}`,
        promoteId: { building: 'key', road: 'key', facility: 'key', zone: 'key' },
      },
      selected: empty,
      planned: empty,
      overlay: empty,
    },
    light: { anchor: 'viewport', color: '#ffffff', intensity: dark ? 0.22 : 0.3, position: [1.2, 210, 35] },
    sky: { 'sky-color': p.ground, 'horizon-color': p.ground, 'fog-color': p.ground, 'sky-horizon-blend': 1, 'horizon-fog-blend': 1, 'fog-ground-blend': 0.85 },
    layers: [...groundLayers(p), ...roadLayers(p), ...thingLayers(p), ...topLayers(p)],
  };
}

function groundLayers(p: Palette): LayerSpecification[] {
  const land: ExpressionSpecification = ['match', ['get', 'kind'],
    ...Object.entries(LAND).flatMap(([name, kinds]) => [kinds, p.land[name as keyof Palette['land']]]), p.ground] as unknown as ExpressionSpecification;
  return [
    { id: 'background', type: 'background', paint: { 'background-color': p.ground } },
    { id: 'land', type: 'fill', ...source('land'), metadata: { group: 'land' }, paint: { 'fill-color': land, 'fill-antialias': false, 'fill-opacity': 1 } },
    { id: 'waterway', type: 'line', ...source('waterway'), metadata: { group: 'water' },
      layout: { 'line-cap': 'round', 'line-join': 'round' },
      paint: { 'line-color': p.waterLine, 'line-opacity': 1, 'line-width': ['interpolate', ['exponential', 1.6], ['zoom'],
        10, ['match', ['get', 'kind'], ['river', 'canal'], 1.2, 0.4], 18, ['match', ['get', 'kind'], ['river', 'canal'], 16, 5]] } },
    { id: 'water', type: 'fill', ...source('water'), metadata: { group: 'water' }, paint: { 'fill-color': p.water, 'fill-opacity': 1 } },
    { id: 'water-edge', type: 'line', ...source('water'), metadata: { group: 'water' }, minzoom: 12, paint: { 'line-color': p.waterLine, 'line-width': 0.8, 'line-opacity': 0.8 } },
    { id: 'zone-overlay', type: 'fill', ...source('zone'), metadata: { group: 'overlay' }, layout: { visibility: 'none' },
      paint: { 'fill-color': p.zone, 'fill-opacity': 0 } },
    { id: 'building-ground', type: 'fill', ...source('building'), metadata: { group: 'building' }, minzoom: 12,
      paint: { 'fill-color': p.building, 'fill-opacity': 1, 'fill-outline-color': p.buildingEdge } },
  ];
}

function thingLayers(p: Palette): LayerSpecification[] {
  const height: ExpressionSpecification = ['coalesce', ['get', 'height'], ['*', 3, ['coalesce', ['get', 'levels'], 2]]];
  return [
    { id: 'zone-line', type: 'line', ...source('zone'), metadata: { group: 'zone' },
      paint: { 'line-color': p.zone, 'line-width': 1.2, 'line-dasharray': [4, 2], 'line-opacity': 0.9 } },
    { id: GROUND_SLOT, type: 'background', paint: { 'background-opacity': 0 }, layout: { visibility: 'none' } },
    { id: 'overlay-fill', type: 'fill', source: 'overlay', metadata: { group: 'overlay' }, filter: ['==', ['geometry-type'], 'Polygon'],
      paint: { 'fill-color': ['get', 'colour'], 'fill-opacity': 0.75 } },
    { id: 'road-overlay', type: 'line', ...source('road'), metadata: { group: 'overlay' },
      layout: { visibility: 'none', 'line-cap': 'round', 'line-join': 'round' },
      paint: { 'line-color': p.label, 'line-opacity': 0, 'line-width': ['interpolate', ['exponential', 1.4], ['zoom'], 10, 1.4, 14, 3.4, 18, 12] } },
    { id: 'overlay-line', type: 'line', source: 'overlay', metadata: { group: 'overlay' }, filter: ['==', ['geometry-type'], 'LineString'],
      layout: { 'line-cap': 'round' }, paint: { 'line-color': ['get', 'colour'], 'line-width': 3.5, 'line-opacity': 0.95 } },
    { id: 'building', type: 'fill-extrusion', ...source('building'), metadata: { group: 'building' }, minzoom: 13,
      paint: {
        'fill-extrusion-color': buildingColour(p),
        'fill-extrusion-height': ['interpolate', ['linear'], ['zoom'], 13, 0, 14.2, height],
        'fill-extrusion-opacity': 0.94, 'fill-extrusion-vertical-gradient': true,
      } },
  ];
}

export function buildingColour(p: Palette): ExpressionSpecification {
  return ['interpolate', ['linear'], ['coalesce', ['get', 'height'], 6], 3, p.building, 30, p.buildingTall];
}

function topLayers(p: Palette): LayerSpecification[] {
  const label = (size: number): { 'text-font': string[]; 'text-size': number } => ({ 'text-font': FONT, 'text-size': size });
  return [
    { id: 'selected-fill', type: 'fill', source: 'selected', filter: ['==', ['geometry-type'], 'Polygon'], paint: { 'fill-color': p.selected, 'fill-opacity': 0.22 } },
    { id: 'selected-casing', type: 'line', source: 'selected', filter: ['!=', ['geometry-type'], 'Point'], paint: { 'line-color': p.selectedHalo, 'line-width': 6, 'line-opacity': 0.8 } },
    { id: 'selected-line', type: 'line', source: 'selected', filter: ['!=', ['geometry-type'], 'Point'], paint: { 'line-color': p.selected, 'line-width': 2.6 } },
    { id: 'planned-casing', type: 'line', source: 'planned', filter: ['!=', ['geometry-type'], 'Point'], layout: { 'line-cap': 'round' }, paint: { 'line-color': p.selectedHalo, 'line-width': 7, 'line-opacity': 0.75 } },
    { id: 'planned-line', type: 'line', source: 'planned', filter: ['!=', ['geometry-type'], 'Point'], layout: { 'line-cap': 'round' }, paint: { 'line-color': p.planned, 'line-width': 3.6 } },
    { id: 'road-label', type: 'symbol', ...source('road'), metadata: { group: 'label' }, minzoom: 13.5, filter: ['has', 'name'],
      layout: { ...label(11), 'symbol-placement': 'line', 'text-field': ['get', 'name'], 'symbol-spacing': 320, 'text-max-angle': 32, 'text-padding': 6 },
      paint: { 'text-color': p.labelSoft, 'text-halo-color': p.halo, 'text-halo-width': 1.3 } },
    { id: 'waterway-label', type: 'symbol', ...source('waterway'), metadata: { group: 'label' }, minzoom: 12, filter: ['has', 'name'],
      layout: { ...label(12), 'symbol-placement': 'line', 'text-field': ['get', 'name'], 'symbol-spacing': 420, 'text-letter-spacing': 0.08 },
      paint: { 'text-color': p.waterLabel, 'text-halo-color': p.halo, 'text-halo-width': 1.2 } },
    { id: POINT_SLOT, type: 'background', paint: { 'background-opacity': 0 }, layout: { visibility: 'none' } },
    { id: 'facility-overlay', type: 'circle', ...source('facility'), metadata: { group: 'overlay' }, layout: { visibility: 'none' },
      paint: { 'circle-radius': ['interpolate', ['linear'], ['zoom'], 11, 7, 16, 15], 'circle-color': p.label, 'circle-opacity': 0 } },
    { id: 'overlay-point', type: 'circle', source: 'overlay', metadata: { group: 'overlay' }, filter: ['==', ['geometry-type'], 'Point'],
      paint: { 'circle-radius': 5, 'circle-color': ['get', 'colour'], 'circle-stroke-width': 1, 'circle-stroke-color': p.halo } },
    { id: 'zone-label', type: 'symbol', ...source('zone'), metadata: { group: 'label' }, maxzoom: 14.5,
      layout: { ...label(12.5), 'text-field': ['coalesce', ['get', 'name'], ''], 'text-max-width': 8, 'text-letter-spacing': 0.04, 'text-padding': 10 },
      paint: { 'text-color': p.label, 'text-halo-color': p.halo, 'text-halo-width': 1.6, 'text-opacity': 1 } },
    { id: 'facility', type: 'symbol', ...source('facility'), metadata: { group: 'facility' }, minzoom: 11.5, filter: ['step', ['zoom'], ['in', ['get', 'kind'], ['literal', VITAL]], 13.4, true],
      layout: { ...label(11), 'icon-image': ['coalesce', ['image', ['concat', 'facility-', ['get', 'kind']]], ['image', 'facility-other']],
        'icon-size': ['interpolate', ['linear'], ['zoom'], 11.5, 0.6, 15, 0.95], 'icon-padding': 3, 'symbol-sort-key': facilityRank(),
        'text-field': ['step', ['zoom'], '', 14.6, ['coalesce', ['get', 'name'], '']], 'text-optional': true, 'text-anchor': 'top', 'text-offset': [0, 0.9], 'text-max-width': 9 },
      paint: { 'text-color': p.label, 'text-halo-color': p.halo, 'text-halo-width': 1.4, 'icon-opacity': 1, 'text-opacity': 1 } },
    { id: 'planned-point', type: 'circle', source: 'planned', filter: ['==', ['geometry-type'], 'Point'], paint: { 'circle-radius': 6, 'circle-color': p.planned, 'circle-stroke-color': p.selectedHalo, 'circle-stroke-width': 2 } },
    { id: 'selected-point', type: 'circle', source: 'selected', filter: ['==', ['geometry-type'], 'Point'], paint: { 'circle-radius': 11, 'circle-opacity': 0, 'circle-stroke-color': p.selected, 'circle-stroke-width': 2.5 } },
  ];
}

/** Kinds that are shown from afar. */
const VITAL = ['hospital', 'fire_station', 'police', 'ambulance_station', 'power_plant', 'water_works'];

function facilityRank(): ExpressionSpecification {
  return ['match', ['get', 'kind'], 'hospital', 0, ['fire_station', 'police', 'ambulance_station'], 1, ['shelter', 'power_plant', 'power_substation', 'water_works'], 2, ['school', 'clinic', 'care_home'], 3, 5];
}
