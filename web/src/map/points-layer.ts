/** Devices as one gl.POINTS draw: 150 000 stay smooth. Status has a shape as well as a colour. */

import type { CustomLayerInterface, CustomRenderMethodInput, Map } from 'maplibre-gl';
import { program, relativeMatrix, Uniforms } from './shader';

const VERTEX = `#version 300 es
in vec2 place;
in vec4 colour;
in float shape;
uniform mat4 matrix;
uniform float size;
out vec4 tint;
flat out float form;
void main() {
  tint = colour;
  form = shape;
  gl_Position = matrix * vec4(place, 0.0, 1.0);
  float grow = shape > 1.5 ? 1.5 : 1.0;
  gl_PointSize = colour.a < 0.01 ? 0.0 : size * grow;
  if (colour.a < 0.01) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
}`;

// form: 0 unknown (dot), 1 online (disc), 2 late (triangle), 3 silent (ring), 4 faulty (diamond), 5 maintenance (square)
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 tint;
flat in float form;
uniform float opacity;
uniform vec3 edge;
uniform float pixel;
out vec4 result;
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float d = length(p);
  if (form > 4.5) d = max(abs(p.x), abs(p.y)) * 1.2;
  else if (form > 3.5) d = abs(p.x) + abs(p.y);
  else if (form > 1.5 && form < 2.5) d = max(abs(p.x) * 1.05 - p.y * 0.55, p.y) * 1.2 + 0.05;
  float soft = 2.0 * pixel;
  float inside = 1.0 - smoothstep(1.0 - soft, 1.0, d);
  float rim = smoothstep(0.72 - soft, 0.72, d);
  vec3 c = mix(tint.rgb, edge, rim * 0.85);
  float a = tint.a * inside;
  if (form > 2.5 && form < 3.5) {
    float hole = smoothstep(0.42, 0.42 + soft, d);
    c = tint.rgb;
    a *= hole;
  }
  if (a < 0.01) discard;
  a *= opacity;
  result = vec4(c * a, a);
}`;

export class PointsLayer implements CustomLayerInterface {
  readonly id = 'devices';
  readonly type = 'custom' as const;
  readonly renderingMode = '2d' as const;
  opacity = 1;
  /** Below 1 while something else than the measured is shown. */
  presence = 1;
  edge: [number, number, number] = [0, 0, 0];
  private map: Map | null = null;
  private made: WebGLProgram | null = null;
  private uniforms: Uniforms | null = null;
  private array: WebGLVertexArrayObject | null = null;
  private places: WebGLBuffer | null = null;
  private looks: WebGLBuffer | null = null;
  private origin: [number, number] = [0, 0];
  private count = 0;
  private newPlaces: Float32Array | null = null;
  private newLooks: Uint8Array | null = null;

  onAdd(map: Map, gl: WebGL2RenderingContext): void {
    this.map = map;
    this.made = program(gl, VERTEX, FRAGMENT);
    this.uniforms = new Uniforms(gl, this.made);
    this.array = gl.createVertexArray();
    this.places = gl.createBuffer();
    this.looks = gl.createBuffer();
    gl.bindVertexArray(this.array);
    const place = gl.getAttribLocation(this.made, 'place');
    gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 2, gl.FLOAT, false, 8, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.looks);
    const colour = gl.getAttribLocation(this.made, 'colour');
    gl.enableVertexAttribArray(colour);
    gl.vertexAttribPointer(colour, 4, gl.UNSIGNED_BYTE, true, 8, 0);
    const shape = gl.getAttribLocation(this.made, 'shape');
    gl.enableVertexAttribArray(shape);
    gl.vertexAttribPointer(shape, 1, gl.UNSIGNED_BYTE, false, 8, 4);
    gl.bindVertexArray(null);
  }

  onRemove(_map: Map, gl: WebGL2RenderingContext): void {
    gl.deleteProgram(this.made);
    gl.deleteBuffer(this.places);
    gl.deleteBuffer(this.looks);
    gl.deleteVertexArray(this.array);
  }

  /** Sets the positions (mercator 0..1), kept relative to the first so that float32 is exact to millimetres. */
  setPlaces(x: Float64Array, y: Float64Array): void {
    this.origin = [x[0] ?? 0.5, y[0] ?? 0.5];
    const places = new Float32Array(x.length * 2);
    for (let i = 0; i < x.length; i += 1) {
      places[2 * i] = x[i]! - this.origin[0];
      places[2 * i + 1] = y[i]! - this.origin[1];
    }
    this.newPlaces = places;
    this.count = 0;
    this.map?.triggerRepaint();
  }

  /** Sets the looks, 8 bytes a device: red, green, blue, alpha, shape, 3 unused. */
  setLooks(looks: Uint8Array): void {
    this.newLooks = looks;
    this.map?.triggerRepaint();
  }

  private upload(gl: WebGL2RenderingContext): void {
    if (this.newPlaces) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
      gl.bufferData(gl.ARRAY_BUFFER, this.newPlaces, gl.STATIC_DRAW);
      this.newPlaces = null;
    }
    if (this.newLooks) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.looks);
      gl.bufferData(gl.ARRAY_BUFFER, this.newLooks, gl.DYNAMIC_DRAW);
      this.count = this.newLooks.length / 8;
      this.newLooks = null;
    }
  }

  /** Diameter in CSS pixels at a zoom. */
  static size(zoom: number): number {
    return Math.min(15, Math.max(3.4, 3.4 + (zoom - 11.5) * 1.35));
  }

  render(gl: WebGL2RenderingContext, input: CustomRenderMethodInput): void {
    if (!this.made || !this.map || !this.uniforms) return;
    this.upload(gl);
    if (this.count === 0 || this.opacity === 0) return;
    const u = this.uniforms;
    const size = PointsLayer.size(this.map.getZoom()) * devicePixelRatio;
    gl.useProgram(this.made);
    gl.uniformMatrix4fv(u.at('matrix'), false, relativeMatrix(input, this.map.getZoom(), ...this.origin));
    gl.uniform1f(u.at('size'), size);
    gl.uniform1f(u.at('pixel'), 1 / size);
    gl.uniform1f(u.at('opacity'), this.opacity * this.presence);
    gl.uniform3fv(u.at('edge'), this.edge);
    gl.disable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.bindVertexArray(this.array);
    gl.drawArrays(gl.POINTS, 0, this.count);
    gl.bindVertexArray(null);
  }
}
