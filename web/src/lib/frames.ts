/** Binary frames of the server: the live devices (snapshot, delta) and the raster frames of a run. Little endian. */

export interface Snapshot {
  type: 'snapshot';
  sequence: number;
  time: number;
  /** Web mercator, 0..1 times 2^32, y down. */
  x: Uint32Array;
  y: Uint32Array;
  value: Float32Array;
  kind: Uint8Array;
  status: Uint8Array;
}

export interface Delta {
  type: 'delta';
  sequence: number;
  time: number;
  row: Uint32Array;
  value: Float32Array;
  status: Uint8Array;
  /** Devices that are elsewhere now, places as in a snapshot. */
  moved: { row: Uint32Array; x: Uint32Array; y: Uint32Array };
}

const HEADER = 16;
const COUNTS = 8;

/** The snapshot or delta in `buffer`. Throws an Error that says what is wrong when it is neither. */
export function decodeLive(buffer: ArrayBuffer): Snapshot | Delta {
  if (buffer.byteLength < HEADER + COUNTS) throw new Error(`live frame of ${buffer.byteLength} bytes is too short`);
  const view = new DataView(buffer);
  const version = view.getUint8(0);
  if (version !== 1) throw new Error(`live frame has version ${version}, this page reads 1: reload the page`);
  const type = view.getUint8(1);
  const sequence = view.getUint32(4, true);
  const time = view.getFloat64(8, true);
  const count = view.getUint32(HEADER, true);
  const body = HEADER + COUNTS;
  const perRow = type === 1 ? 14 : 9;
  if (buffer.byteLength < body + count * perRow) throw new Error(`live frame ends before its ${count} rows`);
  if (type === 1) {
    return {
      type: 'snapshot',
      sequence,
      time,
      x: new Uint32Array(buffer, body, count),
      y: new Uint32Array(buffer, body + 4 * count, count),
      value: new Float32Array(buffer, body + 8 * count, count),
      kind: new Uint8Array(buffer, body + 12 * count, count),
      status: new Uint8Array(buffer, body + 13 * count, count),
    };
  }
  if (type === 2) {
    return {
      type: 'delta',
      sequence,
      time,
      row: new Uint32Array(buffer, body, count),
      value: new Float32Array(buffer, body + 4 * count, count),
      status: new Uint8Array(buffer, body + 8 * count, count),
      moved: decodeMoved(buffer, body + 4 * Math.ceil((9 * count) / 4), view.getUint32(HEADER + 4, true)),
    };
  }
  throw new Error(`live frame has unknown type ${type}`);
}

function decodeMoved(buffer: ArrayBuffer, at: number, count: number): Delta['moved'] {
  if (count > 0 && buffer.byteLength < at + 12 * count) throw new Error(`live frame ends before its ${count} places`);
  const part = (n: number) => (count > 0 ? new Uint32Array(buffer, at + 4 * n * count, count) : new Uint32Array(0));
  return { row: part(0), x: part(1), y: part(2) };
}

export type LonLat = [number, number];

export interface RasterHeader {
  width: number;
  height: number;
  frames: number;
  /** Seconds after the run's start, one per frame. */
  times: number[];
  scale: number;
  offset: number;
  unit: string;
  /** North-west, north-east, south-east, south-west. */
  corners: [LonLat, LonLat, LonLat, LonLat];
  low: number;
  high: number;
}

/** Frames of one cell column: code 0 is nothing, any other code is `offset + scale * code`. */
export interface Raster extends RasterHeader {
  codes: Uint8Array;
}

/** The raster frames in `buffer`. Throws an Error when the codes do not fill the announced size. */
export function decodeRaster(buffer: ArrayBuffer): Raster {
  const length = new DataView(buffer).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
  const header = JSON.parse(text) as RasterHeader;
  const size = header.frames * header.height * header.width;
  if (buffer.byteLength - 4 - length < size) throw new Error(`frames end early: ${size} codes were announced`);
  return { ...header, codes: new Uint8Array(buffer, 4 + length, size) };
}

/** Place of `seconds` among the frame times: the frame before, the share of the way to the next. Null outside. */
export function frameAt(times: readonly number[], seconds: number): { index: number; share: number } | null {
  const last = times.length - 1;
  const first = times[0];
  const end = times[last];
  if (first === undefined || end === undefined || seconds < first - 1 || seconds > end + 1) return null;
  let index = 0;
  while (index < last && (times[index + 1] ?? Infinity) <= seconds) index += 1;
  const from = times[index] ?? first;
  const to = times[Math.min(index + 1, last)] ?? end;
  const share = to > from ? Math.min(1, Math.max(0, (seconds - from) / (to - from))) : 0;
  return { index, share };
}

/** Share of cells that hold at least `least`, per frame: how the event grows and shrinks. */
export function filledShare(raster: Raster, least = 0): number[] {
  const size = raster.width * raster.height;
  const from = Math.max(1, Math.ceil((least - raster.offset) / raster.scale - 1e-6));
  return raster.times.map((_, frame) => {
    let filled = 0;
    const end = (frame + 1) * size;
    for (let i = frame * size; i < end; i += 1) if (raster.codes[i]! >= from) filled += 1;
    return filled / size;
  });
}
