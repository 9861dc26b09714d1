/** Numbers, units and times as people read them: SI style, thin spaces, real minus. */

const THIN = '\u202f';
const NONE = '–';

const UNITS: Record<string, string> = {
  '1': '', enum: '', Cel: '°C', '[ppm]': 'ppm', '[pH]': 'pH', '[NTU]': 'NTU', 'dB[A]': 'dB(A)', deg: '°', '%': '%', EUR: '€',
};
const POWERS: Record<string, string> = { '0': '⁰', '1': '¹', '2': '²', '3': '³', '-': '⁻' };

/** A unit as printed: m3/s becomes m³/s, ug becomes µg. */
export function unitText(unit: string): string {
  const known = UNITS[unit];
  if (known !== undefined) return known;
  return unit
    .replace(/\*\*/g, '^')
    .replace(/\^\(?([-0-9/]+)\)?/g, (_, p: string) => raise(p))
    .replace(/([a-zA-Z])(-?[0-9])(?![0-9])/g, (_, letter: string, p: string) => letter + raise(p))
    .replace(/\bug\b/g, 'µg')
    .replace(/\bum\b/g, 'µm')
    .replace(/\*|\./g, '·');
}

function raise(power: string): string {
  return [...power].map((c) => POWERS[c] ?? c).join('');
}

/** A number with at most `digits` significant digits (whole numbers keep all theirs), grouped by thin spaces. */
export function number(value: number | null | undefined, digits = 3): string {
  if (value == null || !Number.isFinite(value)) return NONE;
  if (value === 0) return '0';
  const size = Math.abs(value);
  const places = size >= 10 ** (digits - 1) ? 0 : Math.min(6, digits - 1 - Math.floor(Math.log10(size)));
  const [whole = '0', part = ''] = size.toFixed(places).split('.');
  const grouped = whole.length > 3 ? whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN) : whole;
  const rest = part.replace(/0+$/, '');
  const sign = value < 0 && Number(size.toFixed(places)) !== 0 ? '−' : '';
  return sign + grouped + (rest ? `.${rest}` : '');
}

/** Evenly spaced marks of an axis, with as many digits as keep neighbours apart. */
export function marksText(marks: number[]): string[] {
  const size = Math.max(...marks.map(Math.abs));
  const apart = marks.length > 1 ? Math.abs(marks[1]! - marks[0]!) : size;
  const digits = size > 0 && apart > 0 ? Math.floor(Math.log10(size)) - Math.floor(Math.log10(apart) + 1e-9) + 2 : 3;
  return marks.map((m) => number(m, Math.max(3, digits)));
}

/** Value and unit; money in millions where it is large. */
export function quantity(value: number | null | undefined, unit: string, digits = 3): string {
  if (value == null || !Number.isFinite(value)) return NONE;
  if (unit === 'EUR') return money(value);
  const shown = unitText(unit);
  return shown ? `${number(value, digits)}${THIN}${shown}` : number(value, digits);
}

export function money(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e9) return `€${THIN}${number(value / 1e9)}${THIN}bn`;
  if (size >= 1e6) return `€${THIN}${number(value / 1e6)}${THIN}M`;
  if (size >= 1e4) return `€${THIN}${number(value / 1e3)}${THIN}k`;
  return `€${THIN}${number(value)}`;
}

/** A length of time: 45 s, 12 min, 3 h 20 min, 2 d 4 h. */
export function duration(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return NONE;
  const s = Math.round(Math.abs(seconds));
  const sign = seconds < 0 ? '−' : '';
  if (s < 60) return `${sign}${Math.abs(seconds) < 10 ? number(Math.abs(seconds), 2) : s}${THIN}s`;
  const minutes = Math.round(s / 60);
  if (minutes < 60) return `${sign}${minutes}${THIN}min`;
  const hours = Math.floor(minutes / 60);
  const pair = (a: number, unitA: string, b: number, unitB: string): string =>
    `${sign}${a}${THIN}${unitA}${b ? ` ${b}${THIN}${unitB}` : ''}`;
  const rounded = Math.round(minutes / 60);
  return hours < 48 ? pair(hours, 'h', minutes % 60, 'min') : pair(Math.floor(rounded / 24), 'd', rounded % 24, 'h');
}

/** A place as people read it: 42.50712° N, 1.52193° E. */
export function lonLatText(lon: number, lat: number): string {
  return `${Math.abs(lat).toFixed(5)}° ${lat < 0 ? 'S' : 'N'}, ${Math.abs(lon).toFixed(5)}° ${lon < 0 ? 'W' : 'E'}`;
}

/** snake_case words as a person writes them. */
export function words(name: string): string {
  const text = name.replace(/_/g, ' ').trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function two(n: number): string {
  return String(n).padStart(2, '0');
}

/** Clock time of `ms` since 1970, in UTC or in local time: 14:05 or 14:05:09. */
export function clock(ms: number, zone: 'utc' | 'local', seconds = false): string {
  const d = new Date(ms);
  const parts = zone === 'utc' ? [d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()] : [d.getHours(), d.getMinutes(), d.getSeconds()];
  return parts.slice(0, seconds ? 3 : 2).map(two).join(':');
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The day of `ms`: Sat 21 Nov (with the year when asked). */
export function day(ms: number, zone: 'utc' | 'local', year = false): string {
  const d = new Date(ms);
  const [weekday, date, month, y] = zone === 'utc'
    ? [d.getUTCDay(), d.getUTCDate(), d.getUTCMonth(), d.getUTCFullYear()]
    : [d.getDay(), d.getDate(), d.getMonth(), d.getFullYear()];
  return `${DAYS[weekday]} ${date} ${MONTHS[month]}${year ? ` ${y}` : ''}`;
}
