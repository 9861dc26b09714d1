/** The scenario that is being written: one document, edited as a form or as YAML, checked by the server. */

import { parse, stringify } from 'yaml';
import { api } from '../api/client';
import type { CheckAnswer } from '../api/types';
import type { LonLat } from '../lib/frames';
import { fieldOf, initial, isRecord, type JsonSchema } from '../lib/schema';
import { city } from './city.svelte';

export type Document = Record<string, unknown>;

const TIMES = { duration: '3 h', every: '5 min' };

/** First scenarios of hazards whose schema alone does not say one: several entries together make their source. */
const FIRST: Record<string, { params: (centre: LonLat) => unknown; times: Document }> = {
  earthquake: { params: ([lon, lat]) => ({ magnitude: 6, place: [Number(lon.toFixed(4)), Number(lat.toFixed(4))], depth: '10 km' }), times: { duration: '1 h', every: '10 min' } },
  epidemic: { params: () => ({ disease: 'covid', seeds: [{ people: 20 }] }), times: { duration: '120 d', every: '1 d' } },
};

class DraftStore {
  document = $state.raw<Document>({ name: 'What if', start: 'now', ...TIMES, hazards: [] });
  yaml = $state('');
  /** What is wrong with the YAML text itself. */
  syntax = $state('');
  problems = $state.raw<CheckAnswer['problems']>([]);
  checked = $state(false);
  private timer = 0;

  /** A first scenario: a flood, else the first hazard there is, filled with what its schema says. */
  begin(): void {
    const hazards = city.simulators.filter((s) => s.room === 'hazard');
    const hazard = hazards.find((s) => s.name === 'flood') ?? hazards[0];
    if (hazard && (this.document['hazards'] as unknown[]).length === 0) this.addHazard(hazard.name);
    else this.set(this.document);
  }

  set(document: Document): void {
    this.document = document;
    this.yaml = stringify(document, { lineWidth: 100 });
    this.syntax = '';
    this.check();
  }

  setText(text: string): void {
    this.yaml = text;
    try {
      const read: unknown = parse(text);
      if (!isRecord(read)) throw new Error('a scenario is a mapping of entries: it begins with name: ...');
      this.syntax = '';
      this.document = read;
      this.check();
    } catch (error) {
      this.syntax = (error as Error).message.split('\n')[0] ?? 'cannot be read';
    }
  }

  put(entry: string, value: unknown): void {
    const next = { ...this.document };
    if (value === undefined || value === '') delete next[entry];
    else next[entry] = value;
    this.set(next);
  }

  list(entry: 'hazards' | 'lifelines' | 'interventions'): unknown[] {
    const found = this.document[entry];
    return Array.isArray(found) ? found : [];
  }

  /** Adds a hazard that is ready to run; the first one brings the time that it needs. */
  addHazard(name: string): void {
    const schema = city.simulator(name)?.params as JsonSchema | undefined;
    if (!schema) return;
    const first = this.list('hazards').length === 0;
    const known = FIRST[name];
    const params = known ? known.params(city.info?.center ?? [0, 0]) : opening(schema);
    this.set({ ...this.document, ...(first ? (known?.times ?? TIMES) : {}), hazards: [...this.list('hazards'), { [name]: params }] });
  }

  addIntervention(name: string): void {
    const kind = city.simulators.flatMap((s) => s.interventions).find((i) => i.name === name);
    if (kind) this.put('interventions', [...this.list('interventions'), { at: '0 min', [name]: opening(kind.params) }]);
  }

  replace(entry: 'hazards' | 'lifelines' | 'interventions', index: number, value: unknown): void {
    const next = [...this.list(entry)];
    if (value === undefined) next.splice(index, 1);
    else next[index] = value;
    this.put(entry, next);
  }

  problemsAt(path: string): string[] {
    return this.problems
      .filter((p) => p.where === path)
      .map((p) => (p.hint ? `${p.message} (${p.hint})` : p.message));
  }

  private check(): void {
    this.checked = false;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.ask(), 250);
  }

  private async ask(): Promise<void> {
    const asked = this.document;
    try {
      const answer = await api.check(asked);
      if (asked !== this.document) return;
      this.problems = answer.problems;
    } catch (error) {
      this.problems = [{ message: (error as Error).message, where: '', hint: '' }];
    }
    this.checked = true;
  }
}

/** The first value of a hazard: what is required, and, where nothing is, the first entry it offers. */
export function opening(schema: JsonSchema): unknown {
  const field = fieldOf(schema);
  const required = field.entries.filter((e) => e.field.required);
  if (field.kind !== 'group' || required.length > 0) return initial(field);
  const value = {};
  const first = field.entries.find((e) => e.field.kind === 'group');
  return first ? { [first.name]: initial(first.field) } : value;
}

export const draft = new DraftStore();
