/** The triage of an earthquake run, read from its diagnostics; null where the run has none. */

import { isRecord } from './schema';

export interface Range {
  low: number;
  middle: number;
  high: number;
}

export interface TriageZone {
  zone: string;
  name: string;
  rank: number;
  collapses: Range;
  trapped: Range;
  injured: Range;
  killed: Range;
}

export interface Triage {
  event: Record<string, unknown>;
  trapped: Range | null;
  bedsNeeded: Range | null;
  beds: number | null;
  inside: number | null;
  zones: TriageZone[];
}

function amount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** A range from {low, expected | median, high}. */
export function range(value: unknown): Range | null {
  if (!isRecord(value)) return null;
  const [low, middle, high] = [amount(value['low']), amount(value['expected'] ?? value['median']), amount(value['high'])];
  return low === null || middle === null || high === null ? null : { low, middle, high };
}

const NONE: Range = { low: 0, middle: 0, high: 0 };

function zone(value: unknown): TriageZone[] {
  if (!isRecord(value) || typeof value['zone'] !== 'string') return [];
  const of = (name: string): Range => range(value[name]) ?? NONE;
  return [
    {
      zone: value['zone'],
      name: typeof value['name'] === 'string' && value['name'] ? value['name'] : value['zone'],
      rank: amount(value['rank']) ?? Infinity,
      collapses: of('collapses'),
      trapped: of('trapped'),
      injured: of('injured'),
      killed: of('killed'),
    },
  ];
}

export function triage(diagnostics: Record<string, unknown>): Triage | null {
  const quake = diagnostics['earthquake'];
  const found = isRecord(quake) ? quake['triage'] : null;
  if (!isRecord(quake) || !isRecord(found)) return null;
  const hospitals = isRecord(found['hospitals']) ? found['hospitals'] : {};
  const zones = Array.isArray(found['zones']) ? found['zones'].flatMap(zone) : [];
  return {
    event: isRecord(quake['event']) ? quake['event'] : {},
    trapped: range(found['people_trapped']),
    bedsNeeded: range(hospitals['beds_needed']),
    beds: amount(hospitals['beds_expected']),
    inside: amount(found['people_inside_buildings']),
    zones: zones.sort((a, b) => a.rank - b.rank),
  };
}

/** "26 (0–76)", whole people: a part of a person is shown as "under 1". */
export function people(value: Range): string {
  const whole = (n: number): string => (n > 0 && n < 1 ? 'under 1' : Math.round(n).toLocaleString('en'));
  return `${whole(value.middle)} (${whole(value.low)}–${whole(value.high)})`;
}

/** The newest of an event's runs that is done; empty where none is. */
export function newestDone(runs: string[], list: { id: string; status: string }[]): string {
  const done = new Set(list.filter((r) => r.status === 'done').map((r) => r.id));
  return runs.filter((id) => done.has(id)).at(-1) ?? '';
}
