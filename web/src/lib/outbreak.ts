/** The live forecast of an epidemic: what the city's readings say of R(t), infections and the four weeks to come. */

import type { Column, TableColumns } from './columns';

/** Quantiles over time, from the 2.5th to the 97.5th of 100. */
export interface Band {
  low: number[];
  lower: number[];
  median: number[];
  upper: number[];
  high: number[];
}

/** What is known of one zone, or of the city. */
export interface Place {
  reproduction: Band;
  infections: Band;
  cases_ahead: Band;
  admissions_ahead: Band;
  weekly_cases_ahead: Band;
  weekly_admissions_ahead: Band;
  reproduction_ahead: Band;
  infections_ahead: Band;
  /** Chance that R is above 1 today. */
  rising: number;
}

export interface Outbreak {
  today: string;
  days: string[];
  days_ahead: string[];
  city: Place;
  zones: Record<string, Place>;
}

export type Shown = 'reproduction' | 'infections' | 'rising';

const COLUMNS: Record<Shown, Pick<Column, 'title' | 'unit' | 'meaning' | 'ramp' | 'start' | 'low' | 'high'>> = {
  reproduction: { title: 'Reproduction number today', unit: '1', meaning: 'People whom one infected person infects; the median of what the readings allow', ramp: 'hazard', start: null, low: 0, high: null },
  infections: { title: 'Infections today', unit: 'people', meaning: 'People infected today, seen or not; the median of what the readings allow', ramp: 'people', start: 0, low: 0, high: null },
  rising: { title: 'Chance that it rises', unit: '1', meaning: 'Probability that one infected person infects more than one today', ramp: 'share', start: null, low: 0, high: 1 },
};

function seconds(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) / 1000;
}

/** One series: what is believed of the days read, then what is forecast, on one axis of epoch seconds; lines have gaps elsewhere. */
export function series(outbreak: Outbreak, place: Place, name: 'reproduction' | 'infections') {
  const [past, ahead] = [place[name], place[`${name}_ahead`]];
  const [known, coming] = [past.median.length, ahead.median.length];
  const times = [...outbreak.days, ...outbreak.days_ahead].map(seconds);
  const gaps = (count: number): null[] => new Array<null>(count).fill(null);
  const read = (values: number[]) => [...values, ...gaps(coming)];
  const next = (values: number[], last: number[]) => [...gaps(known - 1), last.at(-1) ?? null, ...values];
  return {
    times,
    lines: [
      { title: 'Read', colour: '--measured', values: read(past.median), low: read(past.low), high: read(past.high) },
      { title: 'Forecast', colour: '--forecast', values: next(ahead.median, past.median), low: next(ahead.low, past.low), high: next(ahead.high, past.high) },
    ],
  };
}

/** Weekly counts of the four weeks ahead, at the last day of each week. */
export function weeks(outbreak: Outbreak, band: Band) {
  const times = band.median.map((_, i) => seconds(outbreak.days_ahead[7 * i + 6] ?? outbreak.today));
  return { times, lines: [{ title: 'Forecast', colour: '--forecast', values: band.median, low: band.low, high: band.high }] };
}

/** A band at one place, in words: 1.2 (0.9 to 1.6). */
export function said(band: Band, at: number, text: (value: number) => string): string {
  const [median, low, high] = [band.median.at(at), band.low.at(at), band.high.at(at)];
  return median === undefined || low === undefined || high === undefined ? '–' : `${text(median)} (${text(low)} to ${text(high)})`;
}

/** Today's number of each zone as a column of the map. */
export function onMap(outbreak: Outbreak, shown: Shown): { column: Column; table: TableColumns } {
  const name = `forecast_${shown}`;
  const key = Object.keys(outbreak.zones);
  const values = key.map((zone) => {
    const place = outbreak.zones[zone]!;
    return shown === 'rising' ? place.rising : (place[shown].median.at(-1) ?? null);
  });
  return { column: { name, table: 'zone', peak: 'last', steps: [], categories: [], source: '', ...COLUMNS[shown] }, table: { key, columns: { [name]: values } } };
}
