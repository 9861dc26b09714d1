import { describe, expect, it } from 'vitest';
import { decodeLive, decodeRaster, filledShare, frameAt } from './frames';

function header(type: number, sequence: number, time: number, count: number, body: number): DataView {
  const view = new DataView(new ArrayBuffer(24 + body));
  view.setUint8(0, 1);
  view.setUint8(1, type);
  view.setUint32(4, sequence, true);
  view.setFloat64(8, time, true);
  view.setUint32(16, count, true);
  return view;
}

describe('live frames', () => {
  it('a snapshot gives every column of every row', () => {
    const view = header(1, 7, 1.5e9, 2, 28);
    view.setUint32(24, 2 ** 31, true);
    view.setUint32(28, 5, true);
    view.setUint32(32, 2 ** 30, true);
    view.setFloat32(40, 1.25, true);
    view.setFloat32(44, -3, true);
    view.setUint8(49, 4);
    view.setUint8(50, 1);
    view.setUint8(51, 3);
    const frame = decodeLive(view.buffer as ArrayBuffer);
    if (frame.type !== 'snapshot') throw new Error('not a snapshot');
    expect([frame.sequence, frame.time]).toEqual([7, 1.5e9]);
    expect([...frame.x, ...frame.y]).toEqual([2 ** 31, 5, 2 ** 30, 0]);
    expect([...frame.value]).toEqual([1.25, -3]);
    expect([...frame.kind, ...frame.status]).toEqual([0, 4, 1, 3]);
  });

  it('a delta names the rows that changed', () => {
    const view = header(2, 8, 10, 1, 9);
    view.setUint32(24, 99, true);
    view.setFloat32(28, 0.5, true);
    view.setUint8(32, 2);
    const frame = decodeLive(view.buffer as ArrayBuffer);
    if (frame.type !== 'delta') throw new Error('not a delta');
    expect([[...frame.row], [...frame.value], [...frame.status]]).toEqual([[99], [0.5], [2]]);
  });

  it('a delta carries the places of those that moved, and a frame that ends before them is refused', () => {
    const view = header(2, 8, 10, 1, 12 + 12);
    view.setUint32(20, 1, true);
    view.setUint32(24, 99, true);
    view.setUint32(36, 99, true);
    view.setUint32(40, 2 ** 31, true);
    view.setUint32(44, 2 ** 30, true);
    const frame = decodeLive(view.buffer as ArrayBuffer);
    if (frame.type !== 'delta') throw new Error('not a delta');
    expect([[...frame.moved.row], [...frame.moved.x], [...frame.moved.y]]).toEqual([[99], [2 ** 31], [2 ** 30]]);
    view.setUint32(20, 2, true);
    expect(() => decodeLive(view.buffer as ArrayBuffer)).toThrow(/before its 2 places/);
  });

  it('a frame that is cut short, of another version or of no known type is refused', () => {
    expect(() => decodeLive(new ArrayBuffer(8))).toThrow(/too short/);
    expect(() => decodeLive(header(1, 0, 0, 3, 4).buffer as ArrayBuffer)).toThrow(/ends before its 3 rows/);
    expect(() => decodeLive(header(9, 0, 0, 0, 0).buffer as ArrayBuffer)).toThrow(/unknown type 9/);
    const other = header(1, 0, 0, 0, 0);
    other.setUint8(0, 2);
    expect(() => decodeLive(other.buffer as ArrayBuffer)).toThrow(/version 2/);
  });
});

function rasterBytes(codes: number[], announce = codes.length / 4): ArrayBuffer {
  const head = { width: 2, height: 2, frames: announce, times: [0, 60, 120].slice(0, announce), scale: 0.1, offset: 0, unit: 'm', corners: [[0, 1], [1, 1], [1, 0], [0, 0]], low: 0, high: 2 };
  const text = new TextEncoder().encode(JSON.stringify(head));
  const out = new Uint8Array(4 + text.length + codes.length);
  new DataView(out.buffer).setUint32(0, text.length, true);
  out.set(text, 4);
  out.set(codes, 4 + text.length);
  return out.buffer;
}

describe('raster frames', () => {
  it('the codes follow the header, frame after frame', () => {
    const raster = decodeRaster(rasterBytes([0, 0, 0, 10, 0, 20, 0, 30]));
    expect(raster.frames).toBe(2);
    expect([...raster.codes.subarray(4)]).toEqual([0, 20, 0, 30]);
    expect(filledShare(raster)).toEqual([0.25, 0.5]);
    expect(filledShare(raster, 2.5)).toEqual([0, 0.25]);
  });

  it('missing codes are refused', () => {
    expect(() => decodeRaster(rasterBytes([1, 2, 3, 4], 2))).toThrow(/end early/);
  });

  it('a moment lies between two frames, and nowhere outside the run', () => {
    expect(frameAt([0, 60, 120], 90)).toEqual({ index: 1, share: 0.5 });
    expect(frameAt([0, 60, 120], 0)).toEqual({ index: 0, share: 0 });
    expect(frameAt([0, 60, 120], 120)).toEqual({ index: 2, share: 0 });
    expect(frameAt([0, 60, 120], 130)).toBeNull();
    expect(frameAt([0, 60, 120], -10)).toBeNull();
    expect(frameAt([], 0)).toBeNull();
  });
});
