/** Shaders of the field layer. Four texels are blended by hand, because code 0 means nothing and must not be averaged in. */

export const VERTEX = `#version 300 es
in vec2 place;
in vec2 texel;
uniform mat4 matrix;
out vec2 at;
void main() {
  at = texel;
  gl_Position = matrix * vec4(place, 0.0, 1.0);
}`;

export const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler2DArray;
in vec2 at;
uniform sampler2DArray framesA;
uniform sampler2DArray framesB;
uniform sampler2D colours;
uniform sampler2D changes;
uniform vec2 codeA;
uniform vec2 codeB;
uniform vec3 whenA;
uniform vec3 whenB;
uniform int mode;
uniform int classes;
uniform float opacity;
uniform float reach;
uniform float swipe;
out vec4 result;

// (code, cover): mean code of the neighbours that hold something, and the share of the neighbourhood they are
vec2 blend(sampler2DArray frames, float layer) {
  vec2 size = vec2(textureSize(frames, 0).xy);
  vec2 p = at * size - 0.5;
  ivec2 edge = ivec2(size) - 1;
  if (classes == 1) {
    float c = texelFetch(frames, ivec3(clamp(ivec2(floor(p + 0.5)), ivec2(0), edge), int(layer)), 0).r * 255.0;
    return vec2(c, c > 0.5 ? 1.0 : 0.0);
  }
  vec2 base = floor(p);
  vec2 f = p - base;
  float sum = 0.0;
  float cover = 0.0;
  for (int j = 0; j < 2; j++) {
    for (int i = 0; i < 2; i++) {
      ivec2 q = clamp(ivec2(base) + ivec2(i, j), ivec2(0), edge);
      float c = texelFetch(frames, ivec3(q, int(layer)), 0).r * 255.0;
      float w = (i == 1 ? f.x : 1.0 - f.x) * (j == 1 ? f.y : 1.0 - f.y) * (c > 0.5 ? 1.0 : 0.0);
      sum += w * c;
      cover += w;
    }
  }
  return vec2(cover > 0.0 ? sum / cover : 0.0, cover);
}

// (code, cover) between two frames; share < 0: the moment is outside the run
vec2 sampled(sampler2DArray frames, vec3 when) {
  if (when.z < 0.0) return vec2(0.0);
  vec2 a = blend(frames, when.x);
  if (when.z < 0.001) return a;
  vec2 b = blend(frames, when.y);
  if (classes == 1) return when.z < 0.5 ? a : b;
  float cover = mix(a.y, b.y, when.z);
  float wa = a.y * (1.0 - when.z);
  float wb = b.y * when.z;
  return vec2((a.x * wa + b.x * wb) / max(wa + wb, 1e-5), cover);
}

vec4 shade(vec2 s) {
  if (s.y < 0.02) return vec4(0.0);
  float code = max(s.x, 1.0);
  vec4 low = texelFetch(colours, ivec2(int(floor(code)), 0), 0);
  vec4 high = texelFetch(colours, ivec2(min(int(floor(code)) + 1, 255), 0), 0);
  vec4 c = classes == 1 ? texelFetch(colours, ivec2(int(code + 0.5), 0), 0) : mix(low, high, fract(code));
  c.a *= smoothstep(0.25, 0.65, s.y);
  return c;
}

void main() {
  vec4 c = vec4(0.0);
  if (mode == 3) {
    vec2 a = sampled(framesA, whenA);
    vec2 b = sampled(framesB, whenB);
    float va = a.y > 0.25 ? codeA.x + codeA.y * a.x : 0.0;
    float vb = b.y > 0.25 ? codeB.x + codeB.y * b.x : 0.0;
    if (max(a.y, b.y) > 0.25) {
      float d = (vb - va) / reach;
      c = texelFetch(changes, ivec2(int(clamp(d * 0.5 + 0.5, 0.0, 1.0) * 254.0 + 0.5), 0), 0);
      c.a *= mix(0.35, 1.0, smoothstep(0.01, 0.15, abs(d)));
    }
  } else if (mode == 1 || (mode == 2 && gl_FragCoord.x > swipe)) {
    c = shade(sampled(framesB, whenB));
  } else {
    c = shade(sampled(framesA, whenA));
  }
  if (c.a < 0.004) discard;
  c.a *= opacity;
  result = vec4(c.rgb * c.a, c.a);
}`;
