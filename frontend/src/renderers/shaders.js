// What runs on the graphics card. `here()` is the middle of a pixel of the screen, in pixels of the picture.

const HEAD = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2D;
precision highp usampler2D;
uniform vec2 across, down, start; // from the screen to the picture
uniform vec2 pictureSize;
uniform float screenHeight;
out vec4 shown;
vec2 here() { vec2 at = vec2(gl_FragCoord.x, screenHeight - gl_FragCoord.y); return across * at.x + down * at.y + start; }
bool isIn(vec2 at, vec2 size) { return at.x >= 0. && at.y >= 0. && at.x < size.x && at.y < size.y; }
`

// One triangle that covers the screen.
export const CORNERS = `#version 300 es
void main() { gl_Position = vec4(gl_VertexID == 1 ? 3. : -1., gl_VertexID == 2 ? 3. : -1., 0., 1.); }`

const BY_TABLE = `
uniform int least;
vec3 colour(int value) { int at = value - least; return texelFetch(table, ivec2(at & 255, at >> 8), 0).rgb; }
vec3 colour(uint value) { return colour(int(value)); }`

const BY_STEPS = `
uniform sampler2D steps;
vec3 colour(float value) {
  int level = 0;
  for (int jump = 128; jump > 0; jump >>= 1) if (value >= texelFetch(steps, ivec2(level + jump, 0), 0).r) level += jump;
  return texelFetch(table, ivec2(level, 0), 0).rgb;
}`

/** A picture of one or three channels, as pixels are stored that `sampler` reads. */
export function pictureShader(sampler, channels) {
  return `${HEAD}
uniform ${sampler} picture;
uniform sampler2D table;
uniform vec2 halving;
uniform bool crisp;
${sampler === "sampler2D" ? BY_STEPS : BY_TABLE}
vec3 pixel(ivec2 at) {
  at = clamp(at, ivec2(0), textureSize(picture, 0) - 1);
  return ${channels === 3
    ? "vec3(colour(texelFetch(picture, at, 0).r).r, colour(texelFetch(picture, at, 0).g).g, colour(texelFetch(picture, at, 0).b).b)"
    : "colour(texelFetch(picture, at, 0).r)"};
}
void main() {
  vec2 at = here();
  if (!isIn(at, pictureSize)) { shown = vec4(0., 0., 0., 1.); return; }
  at /= halving;
  if (crisp) { shown = vec4(pixel(ivec2(floor(at))), 1.); return; }
  at -= .5;
  ivec2 corner = ivec2(floor(at));
  vec2 part = at - floor(at);
  vec3 upper = mix(pixel(corner), pixel(corner + ivec2(1, 0)), part.x);
  vec3 lower = mix(pixel(corner + ivec2(0, 1)), pixel(corner + ivec2(1, 1)), part.x);
  shown = vec4(mix(upper, lower, part.y), 1.);
}`
}

export const MASK = `${HEAD}
uniform usampler2D mask;
uniform vec2 maskSize, covers; // how many of the picture's pixels one of the mask's covers
uniform vec3 colour;
uniform float fill;
uniform int outline; // its width on the screen, or 0
bool has(vec2 at) { at /= covers; return isIn(at, maskSize) && texelFetch(mask, ivec2(floor(at)), 0).r != 0u; }
void main() {
  vec2 at = here();
  if (!has(at)) discard;
  bool edge = false;
  for (int step = 1; step <= outline && !edge; step++) {
    vec2 x = across * float(step), y = down * float(step);
    edge = !(has(at - x) && has(at + x) && has(at - y) && has(at + y));
  }
  shown = vec4(colour, edge ? 1. : fill);
}`

export const HEAT = `${HEAD}
uniform sampler2D heat; // its colours are multiplied by their alpha
uniform float opacity;
void main() {
  vec2 at = here();
  if (!isIn(at, pictureSize)) discard;
  shown = texture(heat, at / pictureSize) * opacity;
}`
