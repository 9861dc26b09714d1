/** What lies under a click: the nearest device, else the topmost thing of the city, else bare ground. */

import type { Map, MapMouseEvent } from 'maplibre-gl';
import type { Grid } from '../lib/grid';
import { mercatorX, mercatorY } from '../lib/mercator';
import { PointsLayer } from './points-layer';

export type Hit = { device: number } | { table: string; key: string } | { place: [number, number] };

const ORDER = ['facility', 'building', 'building-ground', 'road-', 'water'];

export function hit(map: Map, event: MapMouseEvent, grid: Grid | null, visible: (row: number) => boolean): Hit {
  const device = deviceAt(map, event, grid, visible);
  if (device >= 0) return { device };
  const { x, y } = event.point;
  const reach = 4;
  const found = map.queryRenderedFeatures([[x - reach, y - reach], [x + reach, y + reach]]);
  for (const start of ORDER) {
    const feature = found.find((f) => f.layer.id.startsWith(start) && !f.layer.id.endsWith('-label') && f.properties['key'] !== undefined);
    if (feature) return { table: feature.sourceLayer ?? '', key: String(feature.properties['key']) };
  }
  return { place: [event.lngLat.lng, event.lngLat.lat] };
}

/** The device row under the pointer, or -1. */
export function deviceAt(map: Map, event: MapMouseEvent, grid: Grid | null, visible: (row: number) => boolean): number {
  if (!grid) return -1;
  const pixels = PointsLayer.size(map.getZoom()) / 2 + 4;
  const radius = pixels / (512 * 2 ** map.getZoom());
  return grid.nearest(mercatorX(event.lngLat.lng), mercatorY(event.lngLat.lat), radius, visible);
}
