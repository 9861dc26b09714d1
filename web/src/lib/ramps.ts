/** Colour ramps of declared columns. Sequential ramps have monotone lightness, so that colour-blind eyes read their order. */

export type Rgb = readonly [number, number, number];

function hex(text: string): Rgb[] {
  return text.split(' ').map((h) => [0, 2, 4].map((i) => parseInt(h.slice(i, i + 2), 16)) as unknown as Rgb);
}

/** Stops for a light map; where a dark map needs the other direction (more is brighter), a second row. */
const STOPS: Record<string, { light: Rgb[]; dark?: Rgb[] }> = {
  depth: {
    light: hex('c3e4f5 8ccbea 4fa9d8 2580bd 135796 0b2f66'),
    dark: hex('17486f 1f6a9c 2f90c4 55b4de 92d6ef dcf5fd'),
  },
  speed: {
    light: hex('dccdf0 bd9fe0 9a6ecb 7645ae 542287 330a5c'),
    dark: hex('43246e 643a98 8a5bc0 ad83d9 cdb0ec efe4fb'),
  },
  hazard: { light: hex('fbe7a1 f7c35c ee9440 d95f3b a8324a 611a4e'), dark: hex('7a3b5e a5434f cf5f3f ea8d43 f6bf62 fdeea9') },
  damage: { light: hex('f3e3b0 e9bd6c d98c49 b7573e 7f2a3f 451432'), dark: hex('59324f 8a3c4b b95b41 dc8a48 efbb68 faeab3') },
  heat: { light: hex('fde3a3 f9b56a ee7f4b cf4a4e 932667 4b1358'), dark: hex('43175e 85266a c4425f ec7251 fbb061 fde9a5') },
  people: { light: hex('cfe3cf 95c9ab 55a995 2b857f 1b5f68 123c4d'), dark: hex('17475a 1f6b73 2f9085 5cb497 9bd4ac ddf2cc') },
  share: { light: hex('fde945 d2c060 a59c74 7c7b78 4c556c 00204d'), dark: hex('16305f 4c556c 7c7b78 a59c74 d2c060 fde945') },
  money: { light: hex('e3edb5 b9d77c 86b856 56953f 2f6f33 164a28'), dark: hex('1d5131 33763b 5a9a48 8cbd5f bfdb86 edf6c2') },
  level: { light: hex('dbe319 75d054 20a387 287d8e 3b528b 440154'), dark: hex('453781 33638d 238a8d 29af7f 74d055 fde725') },
  change: { light: hex('5e3c99 9e8cc6 d9d5e8 f2f0ee f6d5ac e8924a b35806'), dark: hex('b9a2f2 7f68bd 4c4468 2b2d33 67492e b9722e ffb45e') },
};
const CATEGORIES: Rgb[] = hex('0072b2 e69f00 009e73 cc79a7 56b4e9 d55e00 f0e442 999999');

/** The stops of ramp `name`; an unknown name gets the ramp "level". */
export function stops(name: string, dark: boolean): Rgb[] {
  if (name === 'category') return CATEGORIES;
  const found = STOPS[name] ?? STOPS['level']!;
  return dark ? (found.dark ?? found.light) : found.light;
}

/** The colour at `position` 0..1 of ramp `name`. */
export function colour(name: string, position: number, dark: boolean): Rgb {
  const list = stops(name, dark);
  const place = Math.min(1, Math.max(0, position)) * (list.length - 1);
  const index = Math.min(Math.floor(place), list.length - 2);
  const share = place - index;
  const from = list[index]!;
  const to = list[index + 1]!;
  return [0, 1, 2].map((i) => Math.round(from[i]! + (to[i]! - from[i]!) * share)) as unknown as Rgb;
}

export function css(rgb: Rgb, alpha = 1): string {
  return alpha === 1 ? `rgb(${rgb.join(' ')})` : `rgb(${rgb.join(' ')} / ${alpha})`;
}

/** What a ramp needs to know of a column's declaration. */
export interface Ramped {
  ramp: string;
  steps: number[];
  categories: string[];
  start: number | null;
  low: number | null;
  high: number | null;
}

export interface Scale {
  /** 0..1 along the ramp. */
  position(value: number): number;
  colour(value: number): Rgb;
  /** Values worth a mark in the legend, in order. */
  ticks: number[];
  categories: string[];
}

/** The colour scale of a column whose shown values lie in `low..high`. Declared steps get equal room in the legend. */
export function scale(column: Ramped, low: number, high: number, dark: boolean): Scale {
  if (column.categories.length > 0) return categoryScale(column, dark);
  const ticks = column.steps.length > 1 ? column.steps : niceTicks(low, high, 5);
  const position = (value: number): number => piecewise(ticks, value);
  return { position, ticks, categories: [], colour: (value) => colour(column.ramp, position(value), dark) };
}

function categoryScale(column: Ramped, dark: boolean): Scale {
  const count = column.categories.length;
  const first = column.start === 0 ? 1 : 0; // the start value means "nothing happened" and is not drawn
  const position = (value: number): number => (count - 1 > first ? (value - first) / (count - 1 - first) : 1);
  const pick = (value: number): Rgb =>
    column.ramp === 'category'
      ? CATEGORIES[Math.max(0, Math.round(value)) % CATEGORIES.length]!
      : colour(column.ramp, position(value), dark);
  return { position, colour: pick, ticks: column.categories.map((_, i) => i), categories: column.categories };
}

function piecewise(ticks: readonly number[], value: number): number {
  const last = ticks.length - 1;
  if (last < 1 || value <= ticks[0]!) return 0;
  if (value >= ticks[last]!) return 1;
  let i = 0;
  while (value >= ticks[i + 1]!) i += 1;
  return (i + (value - ticks[i]!) / (ticks[i + 1]! - ticks[i]!)) / last;
}

/** About `count` round numbers that cover `low..high`. */
export function niceTicks(low: number, high: number, count: number): number[] {
  if (!(high > low)) return [low, low + 1];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999)!;
  const out: number[] = [];
  for (let i = Math.floor(low / step); i * step < high + step * 0.999; i += 1) out.push(Number((i * step).toPrecision(12)));
  return out;
}

/**
 * A table of 256 RGBA colours indexed by frame code, ready for a texture. Code 0 is transparent; with `fade`, so is what
 * lies well below the first tick (a film of rain is not a flood), and low values are a little lighter than high ones.
 */
export function codeTable(s: Scale, offset: number, step: number, fade: boolean): Uint8Array {
  const first = fade && (s.ticks[0] ?? 0) > 0 ? s.ticks[0]! : 0;
  const table = new Uint8Array(256 * 4);
  for (let code = 1; code < 256; code += 1) {
    const value = offset + step * code;
    const [r, g, b] = s.colour(value);
    const least = first > 0 ? Math.min(1, Math.max(0, (value / first - 0.4) / 0.6)) : 1;
    const alpha = fade ? least * (0.72 + 0.26 * s.position(value)) : 0.92;
    table.set([r, g, b, Math.round(255 * alpha)], code * 4);
  }
  return table;
}
