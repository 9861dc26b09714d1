/** The shapes of what people do: alerts, rules, judgements, commands, searches for measures. */

import type { Problem, RunInfo } from './types';

export interface SearchInfo {
  id: string;
  name: string;
  status: RunInfo['status'];
  progress: number;
  words: string;
  started: string | number | null;
  error?: Problem | string | null;
}

export interface Strategy {
  name: string;
  words: string;
  objectives: Record<string, { value: number; low: number; high: number }>;
}

export interface SearchDetail extends SearchInfo {
  result: {
    objectives: { key: string; title: string; unit: string }[];
    front: Strategy[];
    baselines: Strategy[];
    recommended: number;
    explanation: string;
  } | null;
  recommended: string | null;
}

export interface Alert {
  id: number;
  rule: string;
  title: string;
  table: string;
  key: string;
  name: string;
  severity: 'info' | 'warning' | 'severe' | 'critical';
  state: 'open' | 'acknowledged' | 'closed';
  opened: string;
  message: string;
  acknowledged_by: string;
  lon: number | null;
  lat: number | null;
}

export interface AlertNews {
  revision: number;
  open: Record<string, number>;
  unacknowledged: number;
  changed: Alert[];
}

export interface RuleInfo {
  name: string;
  rule: Record<string, unknown>;
  of_every_twin: boolean;
  at_work: boolean;
  things: number;
  open: number;
  problem: Problem | null;
}

export interface RuleChecked {
  ok: boolean;
  problems: Problem[];
  things: number;
}

export interface Entry {
  id: number;
  time: string | number;
  kind: string;
  actor: string;
  subject: string;
  text: string;
}

export interface Rejected {
  time: number;
  reason: string;
  value?: number | null;
  raw?: string;
}

export interface DeviceHealth {
  status: string;
  counts: Record<string, number>;
  missed: number;
  expected: number | null;
  received: number;
  uptime: number | null;
  doubted: { time: number; value: number } | null;
  course: { time: number; status: string }[];
  recent: Rejected[];
  confirmed: (Rejected & { found: string })[];
  maintenance: { until: number; who: string; note: string } | null;
  judgements: { begin: number; end: number; verdict: string; who: string; why: string; at: number }[];
}

export interface CommandKind {
  name: string;
  kind: string;
  form: 'number' | 'whole' | 'choice' | 'text';
  unit: string;
  low: number | null;
  high: number | null;
  step: number;
  most: number | null;
  choices: Record<string, number>;
  sets: string;
  answer: number;
  check: boolean;
  roles: string[];
  meaning: string;
}

export interface Command {
  id: string;
  device: string;
  kind: string;
  command: string;
  value: number | string;
  actor: string;
  role: string;
  reason: string;
  made: number;
  deadline: number;
  before: number | null;
  standing: 'sent' | 'confirmed' | 'refused' | 'silent';
  answered: number | null;
  note: string;
  contradicted: boolean;
}

export interface Tried {
  device: string;
  command: string;
  value: number | string;
  ok: boolean;
  problems: { kind: string; message: string; hint: string }[];
  warnings: string[];
  effects: { table: string; key: string; column?: string; unit?: string; before?: number | null; after?: number; relation?: string }[];
  ticket: string;
  until: number | null;
}
