/** Courses over time that a simulator tells in its diagnostics: one line a quantity, with a band where the run is an ensemble. */

import { isRecord } from './schema';

/** The part of a result that tells courses. */
export interface Told {
  diagnostics: Record<string, unknown>;
  courses?: Record<string, Record<string, unknown>>;
}

export interface Course {
  name: string;
  values: number[];
  low?: number[];
  high?: number[];
}

function numbers(value: unknown): number[] | null {
  return Array.isArray(value) && value.length > 0 && value.every((v) => typeof v === 'number') ? value : null;
}

/** The courses of one simulator, in the order in which it tells them. */
export function courses(result: Told, simulator: string): Course[] {
  const own = result.diagnostics[simulator];
  const told = isRecord(own) && isRecord(own['course']) ? own['course'] : {};
  const bands = isRecord(result.courses?.[simulator]) ? result.courses[simulator] : {};
  return Object.entries(told).flatMap(([name, value]): Course[] => {
    const band = bands[name];
    if (isRecord(band)) {
      const [low, median, high] = [numbers(band['low']), numbers(band['median']), numbers(band['high'])];
      if (low && median && high) return [{ name, values: median, low, high }];
    }
    const values = numbers(value);
    return values ? [{ name, values }] : [];
  });
}

/** What is counted by some class, as {"0-9": 3}: the rows with anything in them. */
export function counted(result: Told, simulator: string, name: string): [string, number][] {
  const own = result.diagnostics[simulator];
  const found = isRecord(own) ? own[name] : null;
  return isRecord(found) ? Object.entries(found).filter((e): e is [string, number] => typeof e[1] === 'number' && e[1] > 0) : [];
}
