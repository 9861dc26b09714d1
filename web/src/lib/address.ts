/** The page's state in the address: what to look at, never anything secret. */

export interface Address {
  map?: { zoom: number; lat: number; lon: number; bearing: number; pitch: number };
  time?: number;
  run?: string;
  against?: string;
  mode?: string;
  column?: string;
  overlay?: string;
  selected?: { table: string; key: string };
  panel?: string;
  /** Layers whose visibility or opacity is not the usual: name -> opacity, 0 is hidden. */
  layers?: Record<string, number>;
}

/** The hash (without #) of an address. */
export function encode(a: Address): string {
  const out: string[] = [];
  const put = (key: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') out.push(`${key}=${encodeURIComponent(value).replace(/%2F/g, '/').replace(/%3A/g, ':').replace(/%2C/g, ',')}`);
  };
  if (a.map) put('map', [a.map.zoom.toFixed(2), a.map.lat.toFixed(5), a.map.lon.toFixed(5), a.map.bearing.toFixed(0), a.map.pitch.toFixed(0)].join('/'));
  put('time', a.time === undefined ? undefined : new Date(a.time).toISOString().replace(/\.\d+Z$/, 'Z'));
  put('run', a.run);
  put('against', a.against);
  put('mode', a.mode);
  put('column', a.column);
  put('overlay', a.overlay);
  put('selected', a.selected && `${a.selected.table}:${a.selected.key}`);
  put('panel', a.panel);
  put('layers', a.layers && Object.entries(a.layers).map(([k, v]) => `${k}:${v}`).join(','));
  return out.join('&');
}

/** The address in a hash; what cannot be read is left out. */
export function decode(hash: string): Address {
  const said = new Map<string, string>();
  for (const pair of hash.replace(/^#/, '').split('&')) {
    const at = pair.indexOf('=');
    if (at > 0) said.set(pair.slice(0, at), safely(pair.slice(at + 1)));
  }
  const out: Address = {};
  const map = mapOf(said.get('map') ?? '');
  if (map) out.map = map;
  const time = Date.parse(said.get('time') ?? '');
  if (Number.isFinite(time)) out.time = time;
  for (const key of ['run', 'against', 'mode', 'column', 'overlay', 'panel'] as const) {
    const value = said.get(key);
    if (value) out[key] = value;
  }
  const selected = /^([a-z_]+):(.+)$/.exec(said.get('selected') ?? '');
  if (selected) out.selected = { table: selected[1]!, key: selected[2]! };
  const layers = layersOf(said.get('layers') ?? '');
  if (Object.keys(layers).length > 0) out.layers = layers;
  return out;
}

function mapOf(text: string): Address['map'] {
  const numbers = text.split('/').map(Number);
  if (numbers.length !== 5 || !numbers.every(Number.isFinite)) return undefined;
  const [zoom, lat, lon, bearing, pitch] = numbers as [number, number, number, number, number];
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? { zoom, lat, lon, bearing, pitch } : undefined;
}

function layersOf(text: string): Record<string, number> {
  const out: Record<string, number> = {};
  for (const item of text.split(',')) {
    const [name, value] = item.split(':');
    const opacity = Number(value);
    if (name && value && opacity >= 0 && opacity <= 1) out[name] = opacity;
  }
  return out;
}

function safely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
