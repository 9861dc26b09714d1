/** Places that a scenario document names, found by their shape, so that the map can show them. */

import type { LonLat } from './frames';
import { isRecord } from './schema';

export interface Drawn {
  kind: 'point' | 'line';
  /** The entry's way through the document, as in hazards[0].flood.inflows[1].at. */
  path: string;
  points: LonLat[];
}

function isPlace(value: unknown): value is LonLat {
  return (
    Array.isArray(value) && value.length === 2 && typeof value[0] === 'number' && typeof value[1] === 'number' &&
    Math.abs(value[0]) <= 180 && Math.abs(value[1]) <= 90 && !(Number.isInteger(value[0]) && Number.isInteger(value[1]))
  );
}

export function placesIn(value: unknown, path = ''): Drawn[] {
  if (isPlace(value)) return [{ kind: 'point', path, points: [value] }];
  if (Array.isArray(value)) {
    if (value.length > 1 && value.every(isPlace)) return [{ kind: 'line', path, points: value }];
    return value.flatMap((item, i) => placesIn(item, `${path}[${i}]`));
  }
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => placesIn(item, path ? `${path}.${key}` : key));
}
