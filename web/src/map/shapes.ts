/** Small GeoJSON collections that the map shows: what is selected, what is planned, what is being drawn. */

import type { Feature, FeatureCollection, Geometry } from 'geojson';
import type { LonLat } from '../lib/frames';
import type { Drawn } from '../lib/places';

export function collection(features: Feature[]): FeatureCollection {
  return { type: 'FeatureCollection', features };
}

export function feature(geometry: Geometry): Feature {
  return { type: 'Feature', properties: {}, geometry };
}

export function point(place: LonLat): Feature {
  return feature({ type: 'Point', coordinates: place });
}

/** The places of a scenario, and the line under the pen with its corners. */
export function planned(places: readonly Drawn[], pen: readonly LonLat[], closed: boolean): FeatureCollection {
  const features = places.map((p) => (p.kind === 'point' ? point(p.points[0]!) : feature({ type: 'LineString', coordinates: p.points })));
  features.push(...pen.map(point));
  if (pen.length > 1) features.push(feature({ type: 'LineString', coordinates: closed && pen.length > 2 ? [...pen, pen[0]!] : [...pen] }));
  return collection(features);
}
