/** Colours the city's things by a column of a run: by feature state where the tiles hold them, else as own shapes. */

import type { ExpressionSpecification, GeoJSONSource, Map } from 'maplibre-gl';
import type { FeatureCollection } from 'geojson';
import type { Column, TableColumns } from '../api/types';
import { colour, css, scale, stops, type Scale } from '../lib/ramps';
import { BASE, buildingColour, MARK, palette } from './style';

export const IN_TILES = ['building', 'road', 'facility', 'zone'];
const PAINTED: Record<string, { layer: string; colour: string; opacity: string; shown: number }> = {
  road: { layer: 'road-overlay', colour: 'line-color', opacity: 'line-opacity', shown: 0.95 },
  facility: { layer: 'facility-overlay', colour: 'circle-color', opacity: 'circle-opacity', shown: 0.95 },
  zone: { layer: 'zone-overlay', colour: 'fill-color', opacity: 'fill-opacity', shown: 0.6 },
};

/** Smallest and largest number of a column; a declared start value of 0 is part of it. */
export function extent(values: readonly (number | string | null)[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const v of values) {
    if (typeof v !== 'number' || !Number.isFinite(v)) continue;
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  return low <= high ? [Math.min(0, low), high] : [0, 1];
}

export function scaleOf(column: Column, values: readonly (number | string | null)[], dark: boolean): Scale {
  const [low, high] = extent(values);
  return scale(column, low, high, dark);
}

/** A value worth drawing: known, and not the value that things have before anything happens. */
export function worthDrawing(column: Column, value: number | string | null | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value !== column.start;
}

/** The ramp as a map expression over the mark 0..1. */
function rampExpression(column: Column, dark: boolean): ExpressionSpecification {
  if (column.ramp === 'category') {
    const list = stops('category', dark);
    return ['interpolate', ['linear'], MARK, ...list.flatMap((c, i) => [i / (list.length - 1), css(c)])] as unknown as ExpressionSpecification;
  }
  const marks = Array.from({ length: 11 }, (_, i) => i / 10);
  return ['interpolate', ['linear'], MARK, ...marks.flatMap((m) => [m, css(colour(column.ramp, m, dark))])] as unknown as ExpressionSpecification;
}

export function clearOverlay(map: Map, dark: boolean): void {
  for (const table of IN_TILES) map.removeFeatureState({ source: BASE, sourceLayer: table });
  for (const p of Object.values(PAINTED)) map.setLayoutProperty(p.layer, 'visibility', 'none');
  map.setPaintProperty('building', 'fill-extrusion-color', buildingColour(palette(dark)));
  setShapes(map, { type: 'FeatureCollection', features: [] });
}

/** Shows `column` of rows in `table` that lie in the tiles. */
export function showMarks(map: Map, column: Column, table: TableColumns, dark: boolean, opacity: number): void {
  clearOverlay(map, dark);
  const values = table.columns[column.name] ?? [];
  const s = scaleOf(column, values, dark);
  table.key.forEach((key, row) => {
    const value = values[row];
    if (worthDrawing(column, value)) map.setFeatureState({ source: BASE, sourceLayer: column.table, id: key }, { mark: clamp(s.position(value)) });
  });
  const ramp = rampExpression(column, dark);
  const marked: ExpressionSpecification = ['>=', MARK, 0];
  if (column.table === 'building') {
    map.setPaintProperty('building', 'fill-extrusion-color', ['case', marked, ramp, buildingColour(palette(dark))]);
    return;
  }
  const painted = PAINTED[column.table];
  if (!painted) return;
  map.setPaintProperty(painted.layer, painted.colour as 'line-color', ramp);
  map.setPaintProperty(painted.layer, painted.opacity as 'line-opacity', ['case', marked, painted.shown * opacity, 0]);
  map.setLayoutProperty(painted.layer, 'visibility', opacity > 0 ? 'visible' : 'none');
}

/** Shows `column` on shapes that came with the run. */
export function showShapes(map: Map, column: Column, shapes: FeatureCollection, dark: boolean): void {
  clearOverlay(map, dark);
  const values = shapes.features.map((f) => (f.properties?.[column.name] ?? null) as number | null);
  const s = scaleOf(column, values, dark);
  const features = shapes.features.flatMap((f, i) => {
    const value = values[i];
    return worthDrawing(column, value) ? [{ ...f, properties: { ...f.properties, colour: css(s.colour(value)) } }] : [];
  });
  setShapes(map, { type: 'FeatureCollection', features });
}

function setShapes(map: Map, data: FeatureCollection): void {
  map.getSource<GeoJSONSource>('overlay')?.setData(data);
}

function clamp(position: number): number {
  return Math.min(1, Math.max(0, position));
}
