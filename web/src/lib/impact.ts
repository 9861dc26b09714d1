/** Reads the impact part of a result: totals, their breakdowns, and the low-median-high of ensembles. */

import { duration, number, quantity, words } from './format';
import { isRecord } from './schema';

export interface Span3 {
  low: number;
  median: number;
  high: number;
}

export type Amount = number | Span3 | null;

export interface Figure {
  key: string;
  title: string;
  unit: string;
  amount: Amount;
  parts: { by: string; title: string; rows: { name: string; title: string; amount: Amount }[] }[];
}

const TITLES: Record<string, string> = {
  loss: 'Direct loss',
  care_delay: 'Extra time to hospital',
  roads_closed_km: 'Roads closed',
};
const PART_TITLES: Record<string, string> = {
  under_15: 'Under 15', '15_to_64': '15 to 64', over_64: 'Over 64',
};

export function isSpan(value: unknown): value is Span3 {
  return isRecord(value) && 'low' in value && 'median' in value && 'high' in value;
}

function isAmount(value: unknown): value is Amount {
  return value === null || typeof value === 'number' || isSpan(value);
}

/** The middle of an amount: itself, or the median. */
export function middle(amount: Amount | undefined): number | null {
  if (amount == null) return null;
  return typeof amount === 'number' ? amount : amount.median;
}

export function unitOf(key: string): string {
  if (key === 'loss' || key.endsWith('_loss') || key.startsWith('loss_')) return 'EUR';
  if (key.endsWith('_km')) return 'km';
  if (key.endsWith('_delay')) return 's';
  if (key.endsWith('_m2')) return 'm2';
  if (key.endsWith('_m3')) return 'm3';
  return '1';
}

/** An amount as text; what nobody simulated says so. */
export function amountText(amount: Amount | undefined, unit: string): string {
  const value = middle(amount);
  if (value === null) return 'not simulated';
  return plain(value, unit);
}

export function plain(value: number, unit: string): string {
  if (unit === 's') return duration(value);
  if (unit === '1') return number(Math.abs(value) < 10 ? Number(value.toFixed(1)) : Math.round(value));
  return quantity(value, unit);
}

/** "12 to 40" of an ensemble; empty for a single run. */
export function rangeText(amount: Amount | undefined, unit: string): string {
  return isSpan(amount) ? `${plain(amount.low, unit)} to ${plain(amount.high, unit)}` : '';
}

/** The figures of `impact`, each total with its breakdowns (`X_by_Y`), in the order of the document. */
export function figures(impact: Record<string, unknown>): Figure[] {
  const out = new Map<string, Figure>();
  const add = (key: string): Figure => {
    const known = out.get(key);
    if (known) return known;
    const figure: Figure = { key, title: TITLES[key] ?? words(key), unit: unitOf(key), amount: null, parts: [] };
    out.set(key, figure);
    return figure;
  };
  for (const [key, value] of Object.entries(impact)) {
    if (isAmount(value) && !/_by_/.test(key)) add(key).amount = value;
  }
  const broken = Object.entries(impact).filter((e): e is [string, Record<string, unknown>] => isRecord(e[1]) && !isSpan(e[1]));
  for (const [key, value] of broken) {
    const [total = key, by = 'class'] = key.split('_by_');
    const rows = Object.entries(value).filter(([, v]) => isAmount(v));
    if (rows.length === 0) continue;
    const named = [...out.keys()].find((k) => k === total) ?? [...out.keys()].find((k) => k.startsWith(`${total}_`));
    const owner = add(named ?? (key.includes('_by_') ? total : key));
    owner.parts.push({
      by,
      title: `${TITLES[total] ?? words(total)} by ${words(by).toLowerCase()}`,
      rows: rows.map(([name, v]) => ({ name, title: PART_TITLES[name] ?? (/^H\d$/.test(name) ? name : words(name)), amount: v as Amount })),
    });
  }
  return [...out.values()].map((f) => (f.amount === null && f.parts.length > 0 ? { ...f, amount: summed(f) } : f));
}

function summed(figure: Figure): Amount {
  const rows = figure.parts[0]!.rows.filter((r) => r.name !== 'none');
  const values = rows.map((r) => middle(r.amount));
  return values.some((v) => v === null) ? null : values.reduce((a: number, b) => a + (b ?? 0), 0);
}
