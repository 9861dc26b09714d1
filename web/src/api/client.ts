/** Calls to the server. Every failure becomes an ApiError with the server's own words. */

import type { FeatureCollection } from 'geojson';
import { decodeLive, decodeRaster, type Raster, type Snapshot } from '../lib/frames';
import type { Outbreak } from '../lib/outbreak';
import type * as T from './types';

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly where = '',
    readonly hint = '',
  ) {
    super(message);
  }
}

/** An error in the words that a person reads: what the server said, with its hint. */
export function said(error: unknown): string {
  return error instanceof ApiError && error.hint ? `${error.message} (${error.hint})` : (error as Error).message;
}

/** The address of an API path, relative to where the page is. */
export function address(path: string): string {
  return new URL(`api/${path}`, document.baseURI).toString();
}

async function ask(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address(path), init);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError('The server cannot be reached', 0, '', 'is citytwin still running?');
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => null);
  const problem = (said as { error?: Partial<T.Problem> } | null)?.error;
  throw new ApiError(problem?.message ?? `The server answered ${response.status}`, response.status, problem?.where ?? '', problem?.hint ?? '');
}

async function json<A>(path: string, init?: RequestInit): Promise<A> {
  return (await ask(path, init)).json() as Promise<A>;
}

function post<A>(path: string, body: unknown, method = 'POST'): Promise<A> {
  return json<A>(path, { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
}

const part = encodeURIComponent;

export const api = {
  city: () => json<T.CityInfo>('city'),
  columns: () => json<T.Column[]>('columns'),
  deviceKinds: () => json<T.DeviceKind[]>('device-kinds'),
  simulators: () => json<T.SimulatorInfo[]>('simulators'),
  scenarioSchema: () => json<Record<string, unknown>>('scenario-schema'),
  devices: () => json<T.DeviceList>('live/devices'),
  quality: () => json<T.Quality>('quality'),
  epidemicForecast: () => json<Outbreak>('forecasts/epidemic'),
  search: (q: string, signal: AbortSignal) => json<T.Found[]>(`search?q=${part(q)}`, { signal }),
  thing: (table: string, key: string) => json<T.Thing>(`things/${part(table)}/${part(key)}`),
  history: (key: string, begin: number, end: number, points = 500) =>
    json<T.History>(
      `things/device/${part(key)}/history?begin=${part(new Date(begin).toISOString())}&end=${part(new Date(end).toISOString())}&points=${points}`,
    ),
  async snapshot(at?: number): Promise<Snapshot> {
    const when = at === undefined ? '' : `?at=${part(new Date(at).toISOString())}`;
    const response = await ask(`live/snapshot${when}`);
    const frame = decodeLive(await response.arrayBuffer());
    if (frame.type !== 'snapshot') throw new ApiError('The server sent changes where a snapshot was asked for', 200);
    return frame;
  },
  searches: () => json<T.SearchInfo[]>('optimisations'),
  measures: (id: string) => json<T.SearchDetail>(`optimisations/${part(id)}`),
  startSearch: (study: string) => post<{ id: string }>('optimisations', { study }),
  endSearch: (id: string) => ask(`optimisations/${part(id)}`, { method: 'DELETE' }),
  chartAddress: (id: string) => address(`optimisations/${part(id)}/chart.svg`),
  alerts: (limit: number) => json<{ alerts: T.Alert[]; next: number | null }>(`alerts?state=open&limit=${limit}`),
  acknowledge: (ids: number[], who: string) => post<{ alerts: T.Alert[] }>('alerts/acknowledge', { ids, who }),
  silence: (rule: string, minutes: number, who: string) => post<unknown>('silences', { rule, minutes, who }),
  rules: () => json<{ rules: T.RuleInfo[] }>('rules'),
  checkRule: (rule: unknown) => post<T.RuleChecked>('rules/check', { rule }),
  tryRule: (rule: unknown, begin: number, end: number) =>
    post<{ counts: Record<string, number> }>('rules/try', { rule, begin: new Date(begin).toISOString(), end: new Date(end).toISOString() }),
  makeRule: (name: string, rule: unknown, who: string) => post<T.RuleInfo>(`rules/${part(name)}`, { rule, who }),
  removeRule: (name: string, who: string) => ask(`rules/${part(name)}?who=${part(who)}`, { method: 'DELETE' }),
  enableRule: (name: string, enabled: boolean, who: string) => post<T.RuleInfo>(`rules/${part(name)}`, { enabled, who }, 'PATCH'),
  journal: (limit: number) => json<{ entries: T.Entry[] }>(`journal?limit=${limit}`),
  deviceHealth: (device: string) => json<T.DeviceHealth>(`devices/${part(device)}/health`),
  judge: (device: string, begin: string, end: string, verdict: string, who: string, why: string) =>
    post<unknown>('readings/judgement', { device, begin, end, verdict, who, why }),
  maintain: (device: string, until: string | null, who: string, note: string) => post<unknown>(`devices/${part(device)}/maintenance`, { until, who, note }),
  commandsOf: (device: string) => json<{ kinds: T.CommandKind[]; recent: T.Command[] }>(`things/device/${part(device)}/commands`),
  tryCommand: (asked: unknown) => post<T.Tried>('commands/check', asked),
  sendCommand: (asked: unknown) => post<T.Command>('commands', asked),
  check: (scenario: unknown) => post<T.CheckAnswer>('scenarios/check', { scenario }),
  startRun: (scenario: unknown) => post<{ id: string }>('runs', { scenario }),
  runs: () => json<T.RunInfo[]>('runs'),
  run: (id: string) => json<T.RunDetail>(`runs/${part(id)}`),
  deleteRun: (id: string) => ask(`runs/${part(id)}`, { method: 'DELETE' }),
  async frames(id: string, column: string, size = 1024): Promise<Raster> {
    return decodeRaster(await (await ask(`runs/${part(id)}/frames/${part(column)}?size=${size}`)).arrayBuffer());
  },
  table: (id: string, table: string) => json<T.TableColumns>(`runs/${part(id)}/tables/${part(table)}?format=columns`),
  tableShapes: (id: string, table: string) => json<FeatureCollection>(`runs/${part(id)}/tables/${part(table)}?format=geojson`),
  cityTable: (table: string, limit: number) => json<FeatureCollection>(`tables/${part(table)}?limit=${limit}`),
  cellSeries: (id: string, lon: number, lat: number) => json<T.Series>(`runs/${part(id)}/series?table=cell&lon=${lon}&lat=${lat}`),
  thingSeries: (id: string, table: string, key: string) => json<T.Series>(`runs/${part(id)}/series?table=${part(table)}&key=${part(key)}`),
  reportAddress: (id: string) => address(`runs/${part(id)}/report.pdf`),
  downloadAddress: (id: string) => address(`runs/${part(id)}/download`),
};
