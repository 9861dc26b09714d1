/** The arithmetic of the time line. Times are milliseconds since 1970; a span is [begin, end]. */

export type Span = readonly [number, number];

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;
const STEPS = [MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY];

export function share(span: Span, time: number): number {
  return (time - span[0]) / (span[1] - span[0]);
}

export function timeAt(span: Span, position: number): number {
  return span[0] + Math.min(1, Math.max(0, position)) * (span[1] - span[0]);
}

/** Round times inside `span`, at most `most` of them; `major` marks midnights (UTC). */
export function ticks(span: Span, most: number): { time: number; major: boolean }[] {
  const length = span[1] - span[0];
  const step = STEPS.find((s) => length / s <= most) ?? Math.ceil(length / most / DAY) * DAY;
  const out: { time: number; major: boolean }[] = [];
  for (let t = Math.ceil(span[0] / step) * step; t <= span[1]; t += step) out.push({ time: t, major: t % DAY === 0 });
  return out;
}

/** `span` zoomed by `factor` around `centre`, between one minute and one year long. */
export function zoomed(span: Span, factor: number, centre: number): Span {
  const length = Math.min(365 * DAY, Math.max(MINUTE, (span[1] - span[0]) * factor));
  const begin = centre - share(span, centre) * length;
  return [begin, begin + length];
}

/** A span that shows what matters: some past, now, and all of each forecast; a far forecast is shown by itself. */
export function fitting(now: number, past: number, forecasts: readonly Span[]): Span {
  const near = forecasts.filter(([b, e]) => b < now + 3 * DAY && e > now - 3 * DAY);
  const first = forecasts[0];
  if (near.length === 0 && first) {
    const margin = (first[1] - first[0]) * 0.08;
    return [first[0] - margin, first[1] + margin];
  }
  const end = Math.max(now + past * 0.25, ...near.map(([b, e]) => e + (e - b) * 0.05));
  const begin = Math.min(now - past, ...near.map(([b]) => b));
  return [begin, end];
}

export type Era = 'measured' | 'now' | 'forecast' | 'future';

/** What is known at `time`: measured before now, forecast inside a run, else only the future. */
export function era(time: number, now: number, forecast: Span | null): Era {
  if (forecast && time >= forecast[0] - 1000 && time <= forecast[1] + 1000) return 'forecast';
  if (Math.abs(time - now) < 2000) return 'now';
  return time < now ? 'measured' : 'future';
}

/** The step of one key press: a frame of the run, else a 60th of the span rounded to a minute. */
export function keyStep(span: Span, frame: number | null): number {
  if (frame) return frame;
  return Math.max(MINUTE, Math.round((span[1] - span[0]) / 60 / MINUTE) * MINUTE);
}
