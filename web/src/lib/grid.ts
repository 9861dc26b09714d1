/** Finds the point nearest to a place among very many: points sorted into the squares of a grid. */

export class Grid {
  private readonly start: Uint32Array;
  private readonly order: Uint32Array;
  private readonly side: number;
  private readonly left: number;
  private readonly top: number;
  private readonly size: number;

  /** x, y: any plane units. `perSquare`: points a square holds on average. */
  constructor(
    private readonly x: ArrayLike<number>,
    private readonly y: ArrayLike<number>,
    perSquare = 4,
  ) {
    const count = x.length;
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < count; i += 1) {
      left = Math.min(left, x[i]!);
      right = Math.max(right, x[i]!);
      top = Math.min(top, y[i]!);
      bottom = Math.max(bottom, y[i]!);
    }
    this.left = left;
    this.top = top;
    this.side = Math.max(1, Math.min(1024, Math.ceil(Math.sqrt(count / perSquare))));
    this.size = Math.max(right - left, bottom - top, 1e-12) / this.side;
    this.start = new Uint32Array(this.side * this.side + 1);
    for (let i = 0; i < count; i += 1) this.start[this.square(i) + 1]! += 1;
    for (let s = 0; s < this.side * this.side; s += 1) this.start[s + 1]! += this.start[s]!;
    const next = this.start.slice();
    this.order = new Uint32Array(count);
    for (let i = 0; i < count; i += 1) this.order[next[this.square(i)]!++] = i;
  }

  private column(value: number, from: number): number {
    return Math.min(this.side - 1, Math.max(0, Math.floor((value - from) / this.size)));
  }

  private square(i: number): number {
    return this.column(this.y[i]!, this.top) * this.side + this.column(this.x[i]!, this.left);
  }

  /** The row nearest to (px, py) within `radius` among those that `wanted` allows, or -1. */
  nearest(px: number, py: number, radius: number, wanted: (row: number) => boolean = () => true): number {
    let best = -1;
    let distance = radius * radius;
    const [c0, c1] = [this.column(px - radius, this.left), this.column(px + radius, this.left)];
    const [r0, r1] = [this.column(py - radius, this.top), this.column(py + radius, this.top)];
    for (let r = r0; r <= r1; r += 1) {
      const from = this.start[r * this.side + c0]!;
      const to = this.start[r * this.side + c1 + 1]!;
      for (let n = from; n < to; n += 1) {
        const i = this.order[n]!;
        const d = (this.x[i]! - px) ** 2 + (this.y[i]! - py) ** 2;
        if (d <= distance && wanted(i)) [best, distance] = [i, d];
      }
    }
    return best;
  }
}
