/** The shapes of the server's answers. */

import type { Geometry } from 'geojson';
import type { Column, TableColumns } from '../lib/columns';
import type { LonLat } from '../lib/frames';
import type { JsonSchema } from '../lib/schema';

export * from './acting';
export type { Column, TableColumns };

export interface Problem {
  kind: string;
  message: string;
  where: string;
  hint: string;
}

export interface CityInfo {
  name: string;
  synthetic: boolean;
  bbox: [number, number, number, number];
  center: LonLat;
  tables: Record<string, number>;
  sources: unknown;
  notes: unknown;
  missing: unknown;
  now: string;
  ground: { width: number; height: number; cell_size: number; corners: [LonLat, LonLat, LonLat, LonLat] } | null;
  kinds_present: string[];
}

export interface DeviceKind {
  name: string;
  column: string;
  unit: string;
  meaning: string;
  period: number;
  usual: [number, number];
  department: string;
  model: string;
}

export interface SimulatorInfo {
  name: string;
  room: string;
  title: string;
  grade: string;
  source: string;
  limits: string;
  reads: string[];
  writes: Column[];
  params: JsonSchema;
  interventions: { name: string; title: string; params: JsonSchema }[];
  always: boolean;
}

export interface DeviceList {
  keys: string[];
  kinds: string[];
  kind: number[];
  names: string[];
}

export interface Found {
  table: string;
  key: string;
  name: string;
  kind: string;
  lon: number;
  lat: number;
}

export interface StateValue {
  value: number | string | null;
  unit?: string;
  time?: string | number | null;
  status?: string | number | null;
}

export interface Relation {
  kind: string;
  direction: 'out' | 'in';
  table: string;
  key: string;
  name: string;
}

export interface Thing {
  table: string;
  key: string;
  name: string;
  geometry: Geometry | null;
  attributes: Record<string, unknown>;
  state: Record<string, StateValue>;
  relations: Relation[];
}

export interface History {
  column: string;
  unit: string;
  time: number[];
  value: (number | null)[];
  low: (number | null)[];
  high: (number | null)[];
}

export interface RunInfo {
  id: string;
  name: string;
  status: 'queued' | 'running' | 'done' | 'failed' | 'stopped';
  progress: number;
  words: string;
  started: string | number | null;
  wall_s: number | null;
  members: number;
  hazards: string[];
  error?: Problem | string | null;
}

export interface ResultDocument {
  scenario: unknown;
  city: { name: string; identity: string };
  started: string;
  start: string;
  duration_s: number;
  simulated_s: number;
  every_s: number;
  seed: number;
  members: number;
  grade: Record<string, string>;
  impact: Record<string, unknown>;
  diagnostics: Record<string, unknown>;
  courses?: Record<string, Record<string, unknown>>;
  columns: Column[];
  provenance: Record<string, unknown>;
}

export interface RunDetail extends RunInfo {
  result: ResultDocument | null;
  scenario: unknown;
  frames: { columns: string[]; times: number[]; start: string } | null;
}

export interface Series {
  times: number[];
  columns: Record<string, { unit: string; values: (number | null)[] }>;
}

export interface Quality {
  counts: Record<string, number>;
  recent: Record<string, unknown>[];
}

export interface CheckAnswer {
  ok: boolean;
  problems: { message: string; where: string; hint: string }[];
}
