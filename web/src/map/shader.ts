/** Small helpers of the custom WebGL layers: programs and the matrix of a place near a local origin. */

import type { CustomRenderMethodInput } from 'maplibre-gl';

export function program(gl: WebGL2RenderingContext, vertex: string, fragment: string): WebGLProgram {
  const made = gl.createProgram();
  for (const [type, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]] as const) {
    const shader = gl.createShader(type);
    if (!shader) throw new Error('the graphics card lost its context');
    gl.shaderSource(shader, text.trim());
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader) ?? 'shader');
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made) ?? 'program');
  return made;
}

/** The matrix from mercator units relative to (x, y) to clip space, multiplied in double precision. */
export function relativeMatrix(input: CustomRenderMethodInput, zoom: number, x: number, y: number): Float32Array {
  const m = input.modelViewProjectionMatrix as unknown as ArrayLike<number>;
  const world = 512 * 2 ** zoom;
  const out = new Float32Array(16);
  for (let row = 0; row < 4; row += 1) {
    out[row] = m[row]! * world;
    out[4 + row] = m[4 + row]! * world;
    out[8 + row] = m[8 + row]! * world;
    out[12 + row] = m[row]! * x * world + m[4 + row]! * y * world + m[12 + row]!;
  }
  return out;
}

export class Uniforms {
  private readonly places = new Map<string, WebGLUniformLocation | null>();

  constructor(
    private readonly gl: WebGL2RenderingContext,
    private readonly made: WebGLProgram,
  ) {}

  at(name: string): WebGLUniformLocation | null {
    if (!this.places.has(name)) this.places.set(name, this.gl.getUniformLocation(this.made, name));
    return this.places.get(name) ?? null;
  }
}
