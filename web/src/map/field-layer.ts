/** A ground column over time: all frames in one texture array, colour and time interpolation in the shader. */

import type { CustomLayerInterface, CustomRenderMethodInput, Map } from 'maplibre-gl';
import { frameAt, type LonLat, type Raster } from '../lib/frames';
import { mercatorX, mercatorY } from '../lib/mercator';
import { FRAGMENT, VERTEX } from './field-shader';
import { program, relativeMatrix, Uniforms } from './shader';

const MESH = 12;
export type FieldMode = 'a' | 'b' | 'swipe' | 'difference';
const MODES: Record<FieldMode, number> = { a: 0, b: 1, swipe: 2, difference: 3 };

interface Loaded {
  raster: Raster;
  texture: WebGLTexture;
}

export class FieldLayer implements CustomLayerInterface {
  readonly id = 'result';
  readonly type = 'custom' as const;
  readonly renderingMode = '2d' as const;
  opacity = 1;
  mode: FieldMode = 'a';
  /** Share of the map's width that shows A when swiping. */
  swipe = 0.5;
  /** Classes: no blending between neighbours. */
  classes = false;
  /** The value that stands for full colour in the difference. */
  reach = 1;
  private seconds: [number, number] = [0, 0];
  private map: Map | null = null;
  private made: WebGLProgram | null = null;
  private uniforms: Uniforms | null = null;
  private array: WebGLVertexArrayObject | null = null;
  private buffer: WebGLBuffer | null = null;
  private origin: [number, number] = [0, 0];
  private loaded: [Loaded | null, Loaded | null] = [null, null];
  private wanted: [Raster | null, Raster | null] = [null, null];
  private tables: (WebGLTexture | null)[] = [null, null];
  private newTables: [Uint8Array | null, Uint8Array | null] = [null, null];
  private vertices = 0;

  onAdd(map: Map, gl: WebGL2RenderingContext): void {
    this.map = map;
    this.made = program(gl, VERTEX, FRAGMENT);
    this.uniforms = new Uniforms(gl, this.made);
    this.array = gl.createVertexArray();
    this.buffer = gl.createBuffer();
    this.tables = [gl.createTexture(), gl.createTexture()];
  }

  onRemove(_map: Map, gl: WebGL2RenderingContext): void {
    for (const one of this.loaded) if (one) gl.deleteTexture(one.texture);
    for (const table of this.tables) gl.deleteTexture(table);
    gl.deleteProgram(this.made);
    gl.deleteBuffer(this.buffer);
    gl.deleteVertexArray(this.array);
  }

  /** Sets the frames of run A and run B; they reach the graphics card once. */
  setRasters(a: Raster | null, b: Raster | null): void {
    this.wanted = [a, b];
    this.map?.triggerRepaint();
  }

  /** Colours by code (256 RGBA), and for the difference from -reach to +reach. */
  setColours(table: Uint8Array, difference: Uint8Array): void {
    this.newTables = [table, difference];
    this.map?.triggerRepaint();
  }

  /** Seconds after each run's start. */
  setTime(a: number, b: number): void {
    if (this.seconds[0] === a && this.seconds[1] === b) return;
    this.seconds = [a, b];
    if (this.loaded[0] || this.wanted[0]) this.map?.triggerRepaint();
  }

  private upload(gl: WebGL2RenderingContext): void {
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    this.wanted.forEach((raster, i) => {
      const known = this.loaded[i];
      if (known?.raster === raster || (!known && !raster)) return;
      if (known) gl.deleteTexture(known.texture);
      this.loaded[i] = raster && { raster, texture: frames(gl, raster) };
      if (i === 0 && raster) this.mesh(gl, raster.corners);
    });
    this.newTables.forEach((table, i) => {
      if (!table) return;
      gl.activeTexture(gl.TEXTURE0);
      gl.bindTexture(gl.TEXTURE_2D, this.tables[i]!);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, table);
      clamp(gl, gl.TEXTURE_2D, gl.NEAREST);
      this.newTables[i] = null;
    });
  }

  /** A grid of triangles over the four corners, since the ground's own coordinates are a little turned. */
  private mesh(gl: WebGL2RenderingContext, corners: readonly LonLat[]): void {
    const [nw, ne, se, sw] = corners.map(([lon, lat]) => [mercatorX(lon), mercatorY(lat)] as const);
    this.origin = [nw![0], nw![1]];
    const at = (u: number, v: number): number[] => {
      const mix = (i: 0 | 1): number =>
        (1 - v) * ((1 - u) * nw![i] + u * ne![i]) + v * ((1 - u) * sw![i] + u * se![i]) - this.origin[i];
      return [mix(0), mix(1), u, v];
    };
    const data: number[] = [];
    for (let row = 0; row < MESH; row += 1) {
      for (let column = 0; column < MESH; column += 1) {
        const [u0, u1, v0, v1] = [column / MESH, (column + 1) / MESH, row / MESH, (row + 1) / MESH];
        data.push(...at(u0, v0), ...at(u1, v0), ...at(u0, v1), ...at(u1, v0), ...at(u1, v1), ...at(u0, v1));
      }
    }
    this.vertices = data.length / 4;
    gl.bindVertexArray(this.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(data), gl.STATIC_DRAW);
    const place = gl.getAttribLocation(this.made!, 'place');
    const texel = gl.getAttribLocation(this.made!, 'texel');
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 2, gl.FLOAT, false, 16, 0);
    gl.enableVertexAttribArray(texel);
    gl.vertexAttribPointer(texel, 2, gl.FLOAT, false, 16, 8);
    gl.bindVertexArray(null);
  }

  render(gl: WebGL2RenderingContext, input: CustomRenderMethodInput): void {
    if (!this.made || !this.map || !this.uniforms) return;
    this.upload(gl);
    const [a, b] = this.loaded;
    if (!a || this.opacity === 0) return;
    const u = this.uniforms;
    gl.useProgram(this.made);
    gl.uniformMatrix4fv(u.at('matrix'), false, relativeMatrix(input, this.map.getZoom(), ...this.origin));
    this.bind(gl, a, 'A', 0, this.seconds[0]);
    this.bind(gl, b ?? a, 'B', 1, this.seconds[1]);
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D, this.tables[0]!);
    gl.uniform1i(u.at('colours'), 2);
    gl.activeTexture(gl.TEXTURE3);
    gl.bindTexture(gl.TEXTURE_2D, this.tables[1]!);
    gl.uniform1i(u.at('changes'), 3);
    gl.uniform1i(u.at('mode'), b ? MODES[this.mode] : 0);
    gl.uniform1i(u.at('classes'), this.classes ? 1 : 0);
    gl.uniform1f(u.at('opacity'), this.opacity);
    gl.uniform1f(u.at('reach'), this.reach);
    gl.uniform1f(u.at('swipe'), this.swipe * gl.drawingBufferWidth);
    gl.disable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.bindVertexArray(this.array);
    gl.drawArrays(gl.TRIANGLES, 0, this.vertices);
    gl.bindVertexArray(null);
    gl.activeTexture(gl.TEXTURE0);
  }

  private bind(gl: WebGL2RenderingContext, one: Loaded, name: 'A' | 'B', unit: number, seconds: number): void {
    const u = this.uniforms!;
    const place = frameAt(one.raster.times, seconds);
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, one.texture);
    gl.uniform1i(u.at(`frames${name}`), unit);
    gl.uniform2f(u.at(`code${name}`), one.raster.offset, one.raster.scale);
    gl.uniform3f(u.at(`when${name}`), place?.index ?? 0, Math.min((place?.index ?? 0) + 1, one.raster.frames - 1), place ? place.share : -1);
  }
}

function clamp(gl: WebGL2RenderingContext, target: number, filter: number): void {
  gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, filter);
  gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, filter);
  gl.texParameteri(target, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(target, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
}

function frames(gl: WebGL2RenderingContext, raster: Raster): WebGLTexture {
  const texture = gl.createTexture();
  gl.activeTexture(gl.TEXTURE0);
  gl.bindTexture(gl.TEXTURE_2D_ARRAY, texture);
  gl.texImage3D(gl.TEXTURE_2D_ARRAY, 0, gl.R8, raster.width, raster.height, raster.frames, 0, gl.RED, gl.UNSIGNED_BYTE, raster.codes);
  clamp(gl, gl.TEXTURE_2D_ARRAY, gl.NEAREST);
  return texture;
}
