/** How devices look on the map: 8 bytes each (red, green, blue, alpha, shape, unused) from status or value. */

import { colour, type Rgb } from './ramps';

/** Colours of status 0 unknown, 1 online, 2 late, 3 silent, 4 faulty, 5 maintenance; each has its own shape too. */
export const STATUS_COLOURS: { dark: Rgb[]; light: Rgb[] } = {
  dark: [[111, 125, 138], [79, 195, 214], [240, 196, 83], [164, 176, 188], [255, 122, 89], [185, 162, 242]],
  light: [[134, 145, 155], [0, 119, 148], [184, 119, 0], [92, 104, 115], [200, 55, 20], [94, 60, 153]],
};

export interface Devices {
  kind: ArrayLike<number>;
  value: ArrayLike<number>;
  status: ArrayLike<number>;
}

export interface Colouring {
  dark: boolean;
  /** Kinds (by index) that are not drawn. */
  hidden: ReadonlySet<number>;
  /** Colour only this kind, by value within its usual range; null: by status. */
  by: { kind: number; low: number; high: number } | null;
}

/** The looks of all devices, written into `out` when it is large enough. */
export function looks(devices: Devices, how: Colouring, out?: Uint8Array): Uint8Array {
  const count = devices.kind.length;
  const bytes = out && out.length === count * 8 ? out : new Uint8Array(count * 8);
  const statusColours = how.dark ? STATUS_COLOURS.dark : STATUS_COLOURS.light;
  const ramp = how.by ? Array.from({ length: 64 }, (_, i) => colour('level', i / 63, how.dark)) : [];
  for (let row = 0; row < count; row += 1) {
    const status = devices.status[row]!;
    let rgb = statusColours[status] ?? statusColours[0]!;
    let alpha = status === 0 ? 190 : 255;
    let shape = status;
    if (how.by) {
      const share = (devices.value[row]! - how.by.low) / (how.by.high - how.by.low || 1);
      if (devices.kind[row] !== how.by.kind) alpha = 0;
      else if (Number.isFinite(share)) rgb = ramp[Math.round(63 * Math.min(1, Math.max(0, share)))]!;
      shape = status === 0 ? 0 : 1;
    } else if (how.hidden.has(devices.kind[row]!)) {
      alpha = 0;
    }
    const at = row * 8;
    bytes[at] = rgb[0];
    bytes[at + 1] = rgb[1];
    bytes[at + 2] = rgb[2];
    bytes[at + 3] = alpha;
    bytes[at + 4] = shape;
  }
  return bytes;
}
