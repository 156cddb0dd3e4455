// The whole JPEG layer in one pass over the pixels: level shift, colour, 8x8 DCT, soft quantizer, and back.
//
// A tile is LANES blocks, one to a lane, so that one vector register holds one frequency of LANES blocks and everything
// that depends on a table entry is a scalar. Nothing is kept for the backward pass, which reads the images again.
// The formulas are those of window.py (five levels) and levels.py (all levels), which are the place to read them;
// names are the same. Vectors are the compiler's own (GCC and Clang), so the same text serves AVX-512, AVX2 and others.

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace {

#ifdef __AVX512F__
constexpr int LANES = 16;
#else
constexpr int LANES = 8;
#endif
constexpr int CELLS = 64, CHANNELS = 3, TABLES = CHANNELS * CELLS, MOST_ROUNDS = 8;
constexpr int FLUSH = 64;  // tiles whose table gradients are added in float
typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef double vd __attribute__((vector_size(4 * LANES)));  // half as many
#define INLINE static inline __attribute__((always_inline))

INLINE vf splat(float x) { return x - vf{}; }
#if defined(__AVX512F__)
INLINE vf least(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vf most(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
#elif defined(__AVX2__)
INLINE vf least(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vf most(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
#else
INLINE vf least(vf a, vf b) { return a < b ? a : b; }
INLINE vf most(vf a, vf b) { return a > b ? a : b; }
#endif
INLINE vf magnitude(vf x) { return (vf)((vi)x & 0x7fffffff); }
INLINE vf with_sign(vf size, vf sign) { return (vf)((vi)size ^ ((vi)sign & INT32_MIN)); }  // size >= 0, or mirrored
INLINE vf nearest(vf x) {  // half to even
#if defined(__AVX512F__)
    return (vf)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__AVX2__)
    return (vf)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    return (x + 12582912.0f) - 12582912.0f;  // |x| < 2^22; beyond, somewhere near
#endif
}
INLINE bool any(vi mask) {  // any lane below 0
#if defined(__AVX512DQ__)
    return _mm512_movepi32_mask((__m512i)mask) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_ps((__m256)mask) != 0;
#else
    int32_t found = 0;
    for (int lane = 0; lane < LANES; ++lane) found |= mask[lane];
    return found < 0;
#endif
}
INLINE bool any_above(vd x, double bound) {
    double greatest = x[0];
    for (int lane = 1; lane < LANES / 2; ++lane) greatest = std::max(greatest, x[lane]);
    return greatest > bound;
}
#if defined(__AVX512F__)
typedef __mmask16 Lanes;
INLINE Lanes at_least(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ); }
INLINE vf choose(Lanes lanes, vf a, vf b) { return (vf)_mm512_mask_blend_ps(lanes, (__m512)b, (__m512)a); }
#else
typedef vi Lanes;
INLINE Lanes at_least(vf a, vf b) { return a >= b; }
INLINE vf choose(Lanes lanes, vf a, vf b) { return lanes ? a : b; }
#endif
INLINE float sum(vf x) {
    float total = 0;
    for (int lane = 0; lane < LANES; ++lane) total += x[lane];
    return total;
}

// Numbers so small that they lose digits count as zero while this lives; operations on them are slow.
struct WithoutDenormals {
#if defined(__SSE__)
    const unsigned before = _mm_getcsr();
    WithoutDenormals() { _mm_setcsr(before | 0x8040); }
    ~WithoutDenormals() { _mm_setcsr(before); }
#else
    WithoutDenormals() {}
#endif
};

// Most arithmetic is written for N registers side by side, one line for all of them: alone, each would wait for itself.
#define EACH _Pragma("GCC unroll 8") for (int k = 0; k < N; ++k)
constexpr int GROUP = 4, DOWN = 8;  // cells side by side; distance of the cells of a column

// exp2(x[k]) for -126 < x < 126, to 2e-7.
template <int N>
INLINE void exponentials(vf x[]) {
    vf r[N], p[N];
#if defined(__AVX512F__)  // x = n + r with 0 <= r < 1
    constexpr float P[] = {1.8830602e-3f, 8.9755807e-3f, 5.583898e-2f, 2.4014858e-1f, 6.9315373e-1f, 9.9999994e-1f};
    EACH r[k] = (vf)_mm512_reduce_ps((__m512)x[k], _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else  // |r| <= 1 / 2
    constexpr float P[] = {1.3263234e-3f, 9.6697076e-3f, 5.5506739e-2f, 2.4022242e-1f, 6.9314697e-1f, 1.0f};
    vf n[N];
    EACH n[k] = x[k] + 12582912.0f;
    EACH r[k] = x[k] - (n[k] - 12582912.0f);
#endif
    EACH p[k] = r[k] * P[0] + P[1];  // least relative error
    EACH p[k] = p[k] * r[k] + P[2];
    EACH p[k] = p[k] * r[k] + P[3];
    EACH p[k] = p[k] * r[k] + P[4];
    EACH p[k] = p[k] * r[k] + P[5];
#if defined(__AVX512F__)
    EACH x[k] = (vf)_mm512_scalef_ps((__m512)p[k], (__m512)x[k]);
#else
    EACH x[k] = (vf)((vi)p[k] + ((vi)n[k] << 23));
#endif
}

// --- the quantizer ---------------------------------------------------------------------------------------------------

enum Method { IDENTITY, THETA, WINDOW };
constexpr int TERMS = 24;
constexpr double REACH = 12;  // of y

struct Rare {  // what only some methods need
    Method method;
    float max_index, edge;  // |z| from which the sum over all levels is finite
    float first, second;    // exp(-pi^2 / h), exp(-4 pi^2 / h)
    float outermost, sixth;  // index from which the window is counted from the limit; d^6
    // With a tiny step the limit L is near to all coefficients. Z = sum exp(2 h u j - h j^2) is even in y = 2 h u L, with
    // positive coefficients, and the mean level is L Z'(y) / Z(y).
    float reach;         // |z| up to which TERMS of them suffice to 1e-14; -1 if the step is not tiny
    double even[TERMS];  // sum (j / L)^(2 m) exp(-h j^2) / (2 m)!
};

struct Entry {  // what depends on one table entry; small, because the cache also holds the tile
    float step, inverse, half;     // q, 1 / q and q / 2, in the unit of z
    float rate;                    // 2 h / q / log(2), h the hardness
    float decay, cube, two_cubes;  // d = exp(-2 h), d^3, 2 d^3; 0 where they do not matter
    float gain, limited;           // 2 h; |z| from which the window moves inside
    float out, convert;            // q in the unit of the result, and that unit's size in z's
    const Rare* rare;
};

struct Derivatives {
    vf slope, by_step, by_alpha;
};

void expand(double h, int max_index, const Entry& e, Rare& rare) {
    rare.reach = float(REACH / (2 * h * max_index)) * e.step;
    std::fill(rare.even, rare.even + TERMS, 0.0);
    rare.even[0] = 1;
    for (int j = 1; j <= max_index; ++j) {
        const double square = double(j) / max_index * j / max_index;
        double term = 2 * std::exp(-h * j * j);
        for (int m = 0; m < TERMS; ++m) {
            rare.even[m] += term;
            term *= square / ((2 * m + 1) * (2 * m + 2));
        }
    }
}

// `unit`: grey levels of z = 1; `out`: the result of 1 grey level; max_index below 0: no limit.
Entry make_entry(float step, float alpha, int max_index, bool all_levels, double unit, double out, Rare& rare) {
    Entry e;
    const double pi = 3.14159265358979, h = double(alpha) * step * step;
    const auto decay = [&](int n) { return n * 2 * h > 83 ? 0.0f : float(std::exp(-2 * h * n)); };
    e.step = float(step / unit), e.inverse = float(unit / step), e.half = e.step / 2;
    e.rate = float(2 * h * unit / step * 1.44269504088896341);
    e.decay = decay(1), e.cube = decay(3), e.two_cubes = 2 * e.cube;
    e.gain = float(2 * h), e.limited = max_index < 0 ? INFINITY : (max_index - 1.501f) * e.step;
    e.out = float(step * out), e.convert = float(unit * out), e.rare = &rare;
    rare.method = !all_levels || !(h < pi) ? WINDOW : h < 0.4 ? IDENTITY : THETA;
    rare.max_index = float(max_index);
    rare.edge = max_index < 0 ? INFINITY : float(e.step * (max_index + 1 - std::sqrt(28 / h + 0.25)));
    rare.first = rare.method == THETA ? float(std::exp(-pi * pi / h)) : 0;
    rare.second = rare.method == THETA ? float(std::exp(-4 * pi * pi / h)) : 0;
    rare.outermost = h < 10 ? max_index - 1.0f : max_index;  // above 10, what lies further out is nothing
    rare.sixth = decay(6);
    rare.reach = -1;
    if (all_levels && max_index > 0 && rare.edge < 0) expand(h, max_index, e, rare);
    return e;
}

INLINE vf offset_from(vf index, vf z, const Entry& e) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return z - index * e.step;  // in one instruction, so that the product is exact
#else
    const float high = (e.step * 4097.0f) - (e.step * 4097.0f - e.step);
    return (z - index * high) - index * (e.step - high);
#endif
}

// log2 of E. Of the least, the square must not vanish. Among millions of levels the nearest one cannot be told from its
// neighbours, so E may exceed 1; of the greatest, the fourth power must be a number.
constexpr float LEAST = -62, GREATEST = 30;
INLINE vf bounded(vf exponent) { return least(most(exponent, splat(LEAST)), splat(GREATEST)); }

// No limit near. E is the weight of the second nearest level; all weights are taken times E^2.
template <int N>
INLINE void window_values_inside(vf z[], const Entry* e) {
    vf index[N], offset[N], x[N], total[N];
    EACH index[k] = nearest(z[k] * e[DOWN * k].inverse);
    EACH offset[k] = offset_from(index[k], z[k], e[DOWN * k]);
    EACH x[k] = bounded((magnitude(offset[k]) - e[DOWN * k].half) * e[DOWN * k].rate);
    exponentials<N>(x);
    EACH total[k] = x[k] * e[DOWN * k].decay + 1.0f;
    EACH z[k] = x[k] * e[DOWN * k].decay + total[k];
    EACH total[k] = total[k] * x[k] + 1.0f;
    EACH z[k] = z[k] * (x[k] * x[k]) - e[DOWN * k].decay;
    EACH total[k] = total[k] * x[k] + e[DOWN * k].decay;
    EACH z[k] = z[k] * x[k] - e[DOWN * k].two_cubes;
    EACH total[k] = total[k] * x[k] + e[DOWN * k].cube;
    EACH z[k] = (index[k] + with_sign(z[k] / total[k], offset[k])) * e[DOWN * k].out;
}

// From moments of g = j - anchor, mirrored by sign (method a.6).
INLINE Derivatives assemble(vf anchor, vf distance, vf sign, vf mean, vf variance, vf skew, const Entry& e) {
    vf excess = skew - variance * distance;
    vf slope = variance * e.gain;
    vf odd = mean - excess * e.gain;
    return {slope, anchor * (1.0f - slope) + with_sign(odd, sign),
            with_sign((variance * distance - excess) * (e.step * e.step * e.step), sign)};
}

template <int N>
INLINE void window_derivatives_inside(const vf z[], const Entry* e, Derivatives found[]) {
    vf anchor[N], offset[N], x[N], square[N], inner[N], outer[N], total[N], mean[N], second[N], third[N];
    EACH anchor[k] = nearest(z[k] * e[DOWN * k].inverse);
    EACH offset[k] = offset_from(anchor[k], z[k], e[DOWN * k]);
    EACH x[k] = bounded((magnitude(offset[k]) - e[DOWN * k].half) * e[DOWN * k].rate);
    exponentials<N>(x);
    EACH square[k] = x[k] * x[k];
    EACH inner[k] = x[k] * (square[k] + e[DOWN * k].decay);  // weights of the inner two, of the outer two
    EACH outer[k] = (square[k] * square[k]) * e[DOWN * k].decay + e[DOWN * k].cube;
    EACH total[k] = 1.0f / (square[k] + inner[k] + outer[k]);
    EACH second[k] = (inner[k] + 4.0f * outer[k]) * total[k];
    EACH inner[k] = x[k] * (square[k] - e[DOWN * k].decay);  // their differences
    EACH outer[k] = (square[k] * square[k]) * e[DOWN * k].decay - e[DOWN * k].cube;
    EACH mean[k] = (inner[k] + 2.0f * outer[k]) * total[k];
    EACH third[k] = (inner[k] + 8.0f * outer[k]) * total[k];
    EACH x[k] = second[k] - mean[k] * mean[k];
    EACH third[k] = third[k] - mean[k] * second[k];
    EACH found[k] = assemble(anchor[k], magnitude(offset[k]) * e[DOWN * k].inverse, offset[k], mean[k], x[k], third[k],
                             e[DOWN * k]);
}

// The limit L may be near. Within, the weights of five levels, from the one opposite to the second nearest, are as above
// d^3, d E, E^2, E^3, d E^4. The outermost window is L .. L - 4; with E that of L - 1 over that of L, weights are
// 1, E, d E^2, d^3 E^3, d^6 E^4. Which one it is differs from lane to lane; `start` levels lie before the nearest one.
template <int N>
struct Limited {
    vf anchor[N], offset[N], x[N], side[N], start[N];  // of |z|; side: the sign of the levels' direction
    Lanes outermost[N];

    inline __attribute__((always_inline)) Limited(const vf z[], const Entry* e) {
        EACH x[k] = nearest(magnitude(z[k]) * e[DOWN * k].inverse);
        EACH outermost[k] = at_least(x[k], splat(e[DOWN * k].rare->outermost));
        EACH anchor[k] = least(splat(e[DOWN * k].rare->max_index), x[k]);  // in this order, not a number stays one
        EACH offset[k] = offset_from(anchor[k], magnitude(z[k]), e[DOWN * k]);
        EACH side[k] = choose(outermost[k], splat(-1), offset[k]);
        EACH start[k] = e[DOWN * k].rare->max_index - anchor[k];
        EACH x[k] = with_sign(offset[k], side[k]) - e[DOWN * k].half;
        EACH x[k] = choose(outermost[k], x[k] + start[k] * e[DOWN * k].step, x[k]) * e[DOWN * k].rate;
        EACH start[k] = choose(outermost[k], start[k], splat(2));
        EACH x[k] = bounded(x[k]);
        exponentials<N>(x);
    }
    inline __attribute__((always_inline)) vf weight(int i, int k, const Entry& e) const {  // without its power of E
        const float within[] = {e.cube, e.decay, 1, 1, e.decay}, last[] = {1, 1, e.decay, e.cube, e.rare->sixth};
        return choose(outermost[k], splat(last[i]), splat(within[i]));
    }
};

template <int N>
INLINE void window_values_limited(vf z[], const Entry* e) {
    Limited<N> at(z, e);
    vf sum[N], slope[N];
    EACH slope[k] = at.weight(4, k, e[DOWN * k]);
    EACH sum[k] = slope[k] * at.x[k] + at.weight(3, k, e[DOWN * k]);
    _Pragma("GCC unroll 3") for (int i = 2; i >= 0; --i) {
        EACH slope[k] = slope[k] * at.x[k] + sum[k];
        EACH sum[k] = sum[k] * at.x[k] + at.weight(i, k, e[DOWN * k]);
    }
    EACH sum[k] = slope[k] * at.x[k] / sum[k] - at.start[k];
    EACH z[k] = with_sign((at.anchor[k] + with_sign(sum[k], at.side[k])) * e[DOWN * k].out, z[k]);
}

template <int N>
INLINE void window_derivatives_limited(const vf z[], const Entry* e, Derivatives found[]) {
    Limited<N> at(z, e);
    vf y[N], term[N], power[N], total[N], mean[N], second[N], third[N];
    EACH y[k] = -at.start[k];
    EACH power[k] = splat(1), total[k] = mean[k] = second[k] = third[k] = vf{};
    _Pragma("GCC unroll 5") for (int i = 0; i < 5; ++i) {
        EACH term[k] = power[k] * at.weight(i, k, e[DOWN * k]);
        EACH power[k] = power[k] * at.x[k];
        EACH total[k] = total[k] + term[k];
        EACH mean[k] = mean[k] + (term[k] = term[k] * y[k]);
        EACH second[k] = second[k] + (term[k] = term[k] * y[k]);
        EACH third[k] = third[k] + term[k] * y[k];
        EACH y[k] = y[k] + 1.0f;
    }
    EACH total[k] = 1.0f / total[k];
    EACH mean[k] = mean[k] * total[k];
    EACH second[k] = second[k] * total[k];
    EACH third[k] = third[k] * total[k] - mean[k] * second[k];
    EACH second[k] = second[k] - mean[k] * mean[k];
    EACH found[k] = assemble(with_sign(at.anchor[k], z[k]), with_sign(at.offset[k], at.side[k]) * e[DOWN * k].inverse,
                             with_sign(at.side[k], z[k]), mean[k], second[k], third[k], e[DOWN * k]);
}

template <int N>
INLINE bool limit_near(const vf z[], const Entry* e) {
    if (e->limited == INFINITY) return false;  // or what is not a number would be found beyond the limit
    vi far = {};
    EACH far |= ((vi)splat(e[DOWN * k].limited)) - ((vi)z[k] & 0x7fffffff);  // negative from there on
    return any(far);
}

// A column of eight coefficients; all side by side where no limit is near.
INLINE void window_values(vf z[8], const Entry* e) {
    if (__builtin_expect(!limit_near<8>(z, e), 1)) return window_values_inside<8>(z, e);
    for (int k = 0; k < 8; k += GROUP)
        if (limit_near<GROUP>(z + k, e + DOWN * k)) window_values_limited<GROUP>(z + k, e + DOWN * k);
        else window_values_inside<GROUP>(z + k, e + DOWN * k);
}

template <int N>
INLINE void window_derivatives(const vf z[], const Entry* e, Derivatives found[]) {
    if (limit_near<N>(z, e)) window_derivatives_limited<N>(z, e, found);
    else window_derivatives_inside<N>(z, e, found);
}

struct Wave {
    vf sine, cosine, inverse;
};

// sin and cos of x = 2 pi z / q by Taylor series of the half angle, and 1 / T.
INLINE Wave theta(vf z, const Entry& e) {
    const vf offset = offset_from(nearest(z * e.inverse), z, e);  // beyond a step only among millions of levels
    const vf size = least(splat(1.5f * e.half), magnitude(offset));  // in this order, not a number stays one
    vf y = with_sign(size, offset) * (3.14159265358979f * e.inverse), s = y * y;
    vf half_sine = s * 1.6059043837e-10f - 2.5052108385e-8f;
    half_sine = half_sine * s + 2.7557319224e-6f;
    half_sine = half_sine * s - 1.9841269841e-4f;
    half_sine = half_sine * s + 8.3333333333e-3f;
    half_sine = half_sine * s - 1.6666666667e-1f;
    half_sine = y * (half_sine * s + 1.0f);
    vf half_cosine = s * 2.0876756988e-9f - 2.7557319224e-7f;
    half_cosine = half_cosine * s + 2.4801587302e-5f;
    half_cosine = half_cosine * s - 1.3888888889e-3f;
    half_cosine = half_cosine * s + 4.1666666667e-2f;
    half_cosine = half_cosine * s - 0.5f;
    half_cosine = half_cosine * s + 1.0f;
    vf cosine = 1.0f - 2.0f * half_sine * half_sine;
    vf total = (4 * e.rare->second * cosine + 2 * e.rare->first) * cosine + (1 - 2 * e.rare->second);
    return {2.0f * half_sine * half_cosine, cosine, 1.0f / total};
}

INLINE vf theta_value(vf z, const Entry& e) {
    const float factor = -4 * 3.14159265358979f * e.step / e.gain;
    Wave at = theta(z, e);
    return z + (4 * e.rare->second * at.cosine + e.rare->first) * at.sine * at.inverse * factor;
}

INLINE Derivatives theta_derivatives(vf z, const Entry& e) {
    const float pi = 3.14159265358979f, h = e.gain / 2;
    Wave at = theta(z, e);
    vf a = (e.rare->first + 4 * e.rare->second * at.cosine) * at.sine * at.inverse * -2.0f;
    vf b = (8 * e.rare->second * at.cosine * at.cosine - 4 * e.rare->second + e.rare->first * at.cosine) * at.inverse * -2.0f;
    vf c = (e.rare->first + 16 * e.rare->second * at.cosine) * at.sine * at.inverse * 2.0f;
    vf excess = (b - a * a) * (2 * pi * pi / h);
    vf by_hardness = a * (-pi / (h * h)) - (c - a * b) * (pi * pi * pi / (h * h * h));
    return {excess + 1.0f, a * (pi / h) - z * e.inverse * excess + by_hardness * (2 * h),
            by_hardness * (e.step * e.step * e.step)};
}

// Coefficients near the limit: the levels that weigh anything, in double (levels.py, _finite_sums). With a tiny step all
// coefficients are there, with sums over thousands of levels: so the lanes go side by side, half of them to a register.
template <bool DERIVATIVES>
__attribute__((noinline)) void finite_sums(vf z, const Entry& e, vf& value, Derivatives& found) {
    constexpr int N = 2, BETWEEN = 16;  // BETWEEN: levels between two looks whether any is left
    constexpr double negligible = 1e-18;
    const double step = e.step, h = e.gain / 2, limit = e.rare->max_index, decay = std::exp(-2 * h);
    vd n[N], d[N], w[N], ratio[N], count[N], total[N], mean[N], square[N], cube[N];  // ratio: of a weight to the one before
    for (int lane = 0; lane < LANES; ++lane) {
        const double size = std::fabs(double(z[lane])) / step;
        double& nearest = ((double*)n)[lane] = std::min(std::nearbyint(std::min(size, limit + 1)), limit);
        ((double*)d)[lane] = size - nearest;
    }
    EACH total[k] = vd{} + 1, mean[k] = square[k] = cube[k] = vd{};
    for (int side = 1; side >= -1; side -= 2) {
        for (int lane = 0; lane < LANES; ++lane)
            ((double*)ratio)[lane] = std::exp(std::min(h * (2 * ((double*)d)[lane] * side - 1), 0.0));
        EACH w[k] = vd{} + 1, count[k] = side > 0 ? limit - n[k] : limit + n[k];
        for (double first = 1; any_above(w[0], negligible) || any_above(w[1], negligible); first += BETWEEN)
            for (int i = 0; i < BETWEEN; ++i) {
                const double far = first + i, g = side * far;
                EACH w[k] *= ratio[k], ratio[k] *= decay;
                EACH w[k] = far <= count[k] ? w[k] : vd{};
                EACH total[k] += w[k], mean[k] += w[k] * g;
                if (DERIVATIVES) EACH square[k] += w[k] * (g * g), cube[k] += w[k] * (g * g * g);
            }
    }
    for (int lane = 0; lane < LANES; ++lane) {
        const auto of = [&](const vd* values) { return ((const double*)values)[lane]; };
        const double sign = z[lane] < 0 ? -1 : 1, average = of(mean) / of(total);
        value[lane] = float(sign * (of(n) + average) * step);
        if (!DERIVATIVES) continue;
        const double variance = of(square) / of(total) - average * average;
        const double excess = of(cube) / of(total) - average * of(square) / of(total) - variance * of(d);
        const double slope = 2 * h * variance;
        found.slope[lane] = float(slope);
        found.by_step[lane] = float(sign * (of(n) * (1 - slope) + average - 2 * h * excess));
        found.by_alpha[lane] = float(sign * (variance * of(d) - excess) * step * step * step);
    }
}

INLINE vf expanded_value(vf z, const Entry& e) {
    const double limit = e.rare->max_index, factor = e.gain / e.step * limit;
    const double* even = e.rare->even;
    vf value;
    for (int lane = 0; lane < LANES; ++lane) {
        const double y = factor * z[lane], s = y * y;
        double whole = even[TERMS - 1], slope = 2 * (TERMS - 1) * even[TERMS - 1];
        for (int m = TERMS - 2; m > 0; --m) whole = whole * s + even[m], slope = slope * s + 2 * m * even[m];
        value[lane] = float(limit * y * slope / (whole * s + even[0]) * e.step);
    }
    return value;
}

template <bool DERIVATIVES>
INLINE void replace_near(vf z, const Entry& e, vf& value, Derivatives& found) {
    vi near = magnitude(z) > e.rare->edge;
    if (__builtin_expect(!any(near), 1)) return;
    vf exact;
    Derivatives exacts;
    if (!DERIVATIVES && !any(splat(e.rare->reach) < magnitude(z))) exact = expanded_value(z, e);
    else finite_sums<DERIVATIVES>(z, e, exact, exacts);
    value = near ? exact : value;
    if (!DERIVATIVES) return;
    found.slope = near ? exacts.slope : found.slope;
    found.by_step = near ? exacts.by_step : found.by_step;
    found.by_alpha = near ? exacts.by_alpha : found.by_alpha;
}

INLINE vf value(vf z, const Entry& e) {
    vf result = z;
    if (e.rare->method == WINDOW) {
        if (limit_near<1>(&z, &e)) window_values_limited<1>(&result, &e);
        else window_values_inside<1>(&result, &e);
        return result;
    }
    if (e.rare->method == THETA) result = theta_value(z, e);
    Derivatives unused;
    replace_near<false>(z, e, result, unused);
    return result * e.convert;
}

INLINE Derivatives derivatives(vf z, const Entry& e) {
    Derivatives result = {splat(1), vf{}, vf{}};
    if (e.rare->method == WINDOW) {
        window_derivatives<1>(&z, &e, &result);
        return result;
    }
    if (e.rare->method == THETA) result = theta_derivatives(z, e);
    vf unused;
    replace_near<true>(z, e, unused, result);
    return result;
}

// All rounds in series; from one round's entries to the next one's it is `TABLES` entries.
INLINE void value_column(vf x[8], const Entry* e, int64_t rounds, bool windows) {
    for (int64_t round = 0; round < rounds; ++round, e += TABLES)
        if (windows) window_values(x, e);
        else
            for (int k = 0; k < 8; ++k) x[k] = value(x[k], e[DOWN * k]);
}

// x: coefficients; g: gradient with respect to the result, replaced; sums: added to, g times the derivative by step.
INLINE void backward_round(const vf x[8], vf g[8], vf* sums, const Entry* e, bool windows) {
    constexpr int N = GROUP;
    for (int group = 0; group < 8; group += N, x += N, g += N, sums += DOWN * N, e += DOWN * N) {
        Derivatives found[N];
        if (windows) window_derivatives<N>(x, e, found);
        else EACH found[k] = derivatives(x[k], e[DOWN * k]);
        EACH sums[DOWN * k] += g[k] * found[k].by_step;
        EACH g[k] *= found[k].slope * e[DOWN * k].convert;
    }
}

__attribute__((noinline)) void backward_rounds(const vf x[8], vf g[8], vf* sums, const Entry* e, int64_t rounds, bool windows) {
    vf inputs[MOST_ROUNDS][8];
    std::memcpy(inputs[0], x, sizeof inputs[0]);
    for (int64_t round = 1; round < rounds; ++round) {
        std::memcpy(inputs[round], inputs[round - 1], sizeof inputs[0]);
        value_column(inputs[round], e + (round - 1) * TABLES, 1, windows);
    }
    for (int64_t round = rounds - 1; round >= 0; --round)
        backward_round(inputs[round], g, sums + round * TABLES, e + round * TABLES, windows);
}

INLINE void backward_column(const vf x[8], vf g[8], vf* sums, const Entry* e, int64_t rounds, bool windows) {
    if (rounds > 1) return backward_rounds(x, g, sums, e, rounds, windows);
    backward_round(x, g, sums, e, windows);
}

// --- DCT and transposes ----------------------------------------------------------------------------------------------

// An orthonormal DCT but for a scale of each frequency, SCALE, which the entries of the tables make up for: its largest
// cosine is left out. With it, the transposed is the inverse.
constexpr double C1 = 0.490392640201615, C2 = 0.461939766255643, C4 = 0.353553390593274;  // cos(k pi / 16) / 2
constexpr double SCALE[8] = {C4, C1, C2, C1, C4, C1, C2, C1};
constexpr float T3 = 0.847759065022573f, T5 = 0.566454497350522f, T6 = 0.414213562373095f, T7 = 0.198912367379658f;

INLINE void odd_part(const vf in[4], vf out[4]) {  // symmetric, so its own transpose
    out[0] = in[0] + in[1] * T3 + in[2] * T5 + in[3] * T7;
    out[1] = in[0] * T3 - in[2] - in[1] * T7 - in[3] * T5;
    out[2] = in[3] * T3 - in[1] + in[0] * T5 + in[2] * T7;
    out[3] = in[2] * T3 - in[3] + in[0] * T7 - in[1] * T5;
}

INLINE void dct(vf x[8]) {
    vf e0 = x[0] + x[7], e1 = x[1] + x[6], e2 = x[2] + x[5], e3 = x[3] + x[4];
    vf in[4] = {x[0] - x[7], x[1] - x[6], x[2] - x[5], x[3] - x[4]}, out[4];
    vf s0 = e0 + e3, s1 = e1 + e2, d0 = e0 - e3, d1 = e1 - e2;
    odd_part(in, out);
    x[0] = s0 + s1, x[4] = s0 - s1, x[2] = d0 + d1 * T6, x[6] = d0 * T6 - d1;
    x[1] = out[0], x[3] = out[1], x[5] = out[2], x[7] = out[3];
}

INLINE void transposed_dct(vf x[8]) {
    vf s0 = x[0] + x[4], s1 = x[0] - x[4], d0 = x[2] + x[6] * T6, d1 = x[2] * T6 - x[6];
    vf in[4] = {x[1], x[3], x[5], x[7]}, o[4];
    odd_part(in, o);
    vf e0 = s0 + d0, e1 = s1 + d1, e2 = s1 - d1, e3 = s0 - d0;
    x[0] = e0 + o[0], x[1] = e1 + o[1], x[2] = e2 + o[2], x[3] = e3 + o[3];
    x[7] = e0 - o[0], x[6] = e1 - o[1], x[5] = e2 - o[2], x[4] = e3 - o[3];
}

#if defined(__clang__)
#if defined(__AVX512F__)
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, vi{__VA_ARGS__})
#endif
#ifdef __AVX512F__
#define EVEN(a, b) PICK(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD(a, b) PICK(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#define LOWER(a, b) PICK(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define UPPER(a, b) PICK(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#else
#define EVEN(a, b) PICK(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODD(a, b) PICK(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#define LOWER(a, b) PICK(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define UPPER(a, b) PICK(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#endif

// LANES blocks of 8 values one after the other <-> 8 vectors of LANES blocks: three perfect (un)shuffles.
INLINE void to_lanes(vf x[8]) {
    for (int pass = 0; pass < 3; ++pass) {
        vf y[8];
        for (int k = 0; k < 4; ++k) y[k] = EVEN(x[2 * k], x[2 * k + 1]), y[k + 4] = ODD(x[2 * k], x[2 * k + 1]);
        std::memcpy(x, y, sizeof y);
    }
}
INLINE void from_lanes(vf x[8]) {
    for (int pass = 0; pass < 3; ++pass) {
        vf y[8];
        for (int k = 0; k < 4; ++k) y[2 * k] = LOWER(x[k], x[k + 4]), y[2 * k + 1] = UPPER(x[k], x[k + 4]);
        std::memcpy(x, y, sizeof y);
    }
}

// --- tiles -----------------------------------------------------------------------------------------------------------

// Colour takes few operations with the chroma as plain differences; the rest of their scale is in the entries, too.
constexpr float KR = 0.299f, KG = 0.587f, KB = 0.114f;
constexpr double WHITE = 255, SHIFT = 128.0 / 255;
constexpr double UNIT[CHANNELS] = {WHITE, WHITE / (2 - 2 * 0.114), WHITE / (2 - 2 * 0.299)};  // grey levels

struct Color {  // of pixels
    static vf luma(vf r, vf g, vf b) { return r * KR + g * KG + b * KB; }
    static vf blue(vf b, vf, vf y) { return b - y; }
    static vf red(vf r, vf, vf y) { return r - y; }
};
struct ColorAdjoint {  // of gradients
    static vf luma(vf r, vf g, vf b) { return r + g + b; }
    static vf blue(vf b, vf g, vf) { return b - g * (KB / KG); }
    static vf red(vf r, vf g, vf) { return r - g * (KR / KG); }
};

struct Batch {  // sizes of contiguous (count, 3, height, width) images
    int64_t count, height, width, rows, columns;
    int64_t blocks() const { return count * rows * columns; }
    int64_t tiles() const { return (blocks() + LANES - 1) / LANES; }
};

enum Edge { REPEAT, ZERO, ADD };  // outside the image: repeat the last pixel; zeros; add to the last pixel (adjoint)

constexpr int WIDTH = LANES / 8, STRIDE = 8 * WIDTH;  // blocks, and values of one row, that one vector holds

struct Place {  // WIDTH neighbouring blocks of a tile
    int64_t row[WIDTH], column[WIDTH], image[WIDTH];
    int exist;  // so many; others repeat the last one
};

template <typename T>
struct Tile {  // where each vector's pixels lie; blocks that are not whole or not side by side lie in `aside`
    T* start[8];
    int64_t row[8], channel[8];
    bool direct[8];
    Place places[8];
    alignas(64) float aside[8][CHANNELS * 8 * STRIDE];

    void locate(const Batch& batch, int64_t tile, T* images) {
        int64_t block = std::min(tile * LANES, batch.blocks() - 1);
        int64_t column = block % batch.columns, y = block / batch.columns % batch.rows;
        int64_t image = block / (batch.columns * batch.rows), left = batch.blocks() - tile * LANES;
        for (int k = 0; k < 8; ++k) {
            Place& p = places[k];
            p.exist = int(std::max<int64_t>(0, std::min<int64_t>(WIDTH, left)));
            for (int b = 0; b < WIDTH; ++b, --left) {
                p.row[b] = y, p.column[b] = column, p.image[b] = image;
                if (left <= 1) continue;
                if (++column < batch.columns) continue;
                column = 0;
                if (++y < batch.rows) continue;
                y = 0, ++image;
            }
            direct[k] = p.exist == WIDTH && p.row[0] == p.row[WIDTH - 1] && p.row[0] * 8 + 8 <= batch.height &&
                        p.column[WIDTH - 1] * 8 + 8 <= batch.width && p.image[0] == p.image[WIDTH - 1];
            start[k] = direct[k] ? images + at(batch, p, 0, 0, 0, 0) : aside[k];
            row[k] = direct[k] ? batch.width : STRIDE;
            channel[k] = direct[k] ? batch.width * batch.height : 8 * STRIDE;
        }
    }
    // The pixel x, y of block b, or the nearest inside the image.
    static int64_t at(const Batch& batch, const Place& p, int b, int c, int y, int x) {
        const int64_t near_y = std::min(p.row[b] * 8 + y, batch.height - 1);
        const int64_t near_x = std::min(p.column[b] * 8 + x, batch.width - 1);
        return ((p.image[b] * CHANNELS + c) * batch.height + near_y) * batch.width + near_x;
    }
    static bool inside(const Batch& batch, const Place& p, int b, int y, int x) {
        return p.row[b] * 8 + y < batch.height && p.column[b] * 8 + x < batch.width;
    }
    void fetch(const Batch& batch, const float* images, Edge edge) {
        for (int k = 0; k < 8; ++k) {
            if (direct[k]) continue;
            for (int i = 0; i < CHANNELS * 8 * STRIDE; ++i) {
                const int c = i / (8 * STRIDE), y = i / STRIDE % 8, b = i % STRIDE / 8, x = i % 8;
                const bool given = b < places[k].exist && inside(batch, places[k], b, y, x);
                aside[k][i] = given || edge == REPEAT ? images[at(batch, places[k], b, c, y, x)] : 0;
            }
        }
    }
    void deliver(const Batch& batch, float* images, Edge edge) {
        for (int k = 0; k < 8; ++k) {
            if (direct[k]) continue;
            for (int again = 0; again < 2; ++again)  // first what lies inside, then what is added to it
                for (int i = 0; i < CHANNELS * 8 * STRIDE; ++i) {
                    const int c = i / (8 * STRIDE), y = i / STRIDE % 8, b = i % STRIDE / 8, x = i % 8;
                    if (b >= places[k].exist) continue;
                    float& to = images[at(batch, places[k], b, c, y, x)];
                    const bool given = inside(batch, places[k], b, y, x);
                    if (given && !again) to = aside[k][i];
                    if (!given && again && edge == ADD) to += aside[k][i];
                }
        }
    }
    void prefetch(int c, int y, int k) const { __builtin_prefetch(start[k] + c * channel[k] + y * row[k]); }
};

typedef vf Planes[CHANNELS][CELLS];

// Pixels of a tile to luma and differences, with the horizontal DCT: planes[c][8 y + frequency].
template <typename Mix>
INLINE void load_rows(const Tile<const float>& tile, Planes& planes) {
    for (int y = 0; y < 8; ++y) {
        vf luma[8], x[8];
        const auto pixel = [&](int k, int c) {
            vf found;
            std::memcpy(&found, tile.start[k] + c * tile.channel[k] + y * tile.row[k], sizeof found);
            return found;
        };
        const auto deliver = [&](vf row[8], int c) {
            to_lanes(row);
            dct(row);
            for (int k = 0; k < 8; ++k) planes[c][8 * y + k] = row[k];
        };
        for (int k = 0; k < 8; ++k) luma[k] = Mix::luma(pixel(k, 0), pixel(k, 1), pixel(k, 2));
        for (int k = 0; k < 8; ++k) x[k] = Mix::blue(pixel(k, 2), pixel(k, 1), luma[k]);
        deliver(x, 1);
        for (int k = 0; k < 8; ++k) x[k] = Mix::red(pixel(k, 0), pixel(k, 1), luma[k]);
        deliver(x, 2);
        deliver(luma, 0);
    }
}

// The way back: planes -> pixels of a tile.
template <bool ADJOINT>
INLINE void store_rows(Planes& planes, const Tile<float>& tile) {
    for (int y = 0; y < 8; ++y) {
        vf x[CHANNELS][8];
        for (int c = 0; c < CHANNELS; ++c) {
            for (int k = 0; k < 8; ++k) x[c][k] = planes[c][8 * y + k];
            transposed_dct(x[c]);
            from_lanes(x[c]);
        }
        for (int k = 0; k < 8; ++k) {
            vf luma = x[0][k], blue = x[1][k], red = x[2][k];
            if (ADJOINT) luma = luma - blue - red;
            const vf pixel[CHANNELS] = {ADJOINT ? red + luma * KR : luma + red,
                                        ADJOINT ? luma * KG : luma - blue * (KB / KG) - red * (KR / KG),
                                        ADJOINT ? blue + luma * KB : luma + blue};
            for (int c = 0; c < CHANNELS; ++c)
                std::memcpy(tile.start[k] + c * tile.channel[k] + y * tile.row[k], &pixel[c], sizeof(vf));
        }
    }
}

// Of an entry, or a sum: where its step is in (rounds, 2, 8, 8) tables, the scale of its frequency, its unit.
int64_t table_of(int64_t i) { return i / TABLES * 2 * CELLS + (i % TABLES >= CELLS) * CELLS + i % CELLS; }
double scale_of(int64_t i) { return SCALE[i % CELLS / 8] * SCALE[i % 8]; }
double unit_of(int64_t i) { return scale_of(i) * UNIT[i % TABLES / CELLS]; }

// The constants of (rounds, 2, 8, 8) tables, kept from one call to the next: for as long as the numbers are the same.
struct Tables {
    std::vector<float> made_for;
    std::vector<Rare> rare;
    std::vector<Entry> entries;
};

const Entry* entries_of(const float* steps, const float* alpha, int64_t rounds, int max_index, bool all_levels) {
    static thread_local Tables kept;
    const size_t count = rounds * 2 * CELLS;
    std::vector<float> wanted(steps, steps + count);
    wanted.insert(wanted.end(), alpha, alpha + count);
    wanted.insert(wanted.end(), {float(max_index), float(all_levels)});
    if (kept.made_for.size() != wanted.size() ||
        std::memcmp(kept.made_for.data(), wanted.data(), wanted.size() * sizeof(float)) != 0) {
        kept.rare.resize(rounds * TABLES), kept.entries.resize(rounds * TABLES);
        for (int64_t i = 0; i < rounds * TABLES; ++i) {
            const int64_t from = table_of(i);
            const double unit = unit_of(i), square = scale_of(i) * scale_of(i);
            const double out = i / TABLES == rounds - 1 ? square / unit : 1 / unit;
            kept.entries[i] = make_entry(steps[from], alpha[from], max_index, all_levels, unit, out, kept.rare[i]);
        }
        kept.made_for = std::move(wanted);
    }
    return kept.entries.data();
}

constexpr float DC = CELLS * SHIFT;  // what the level shift takes from the first luma coefficient
}  // namespace

extern "C" {

int jpegdl_lanes() { return LANES; }

// images, output: (count, 3, height, width); steps, alpha: (rounds, 2, 8, 8).
void jpegdl_forward(const float* images, float* output, int64_t count, int64_t height, int64_t width, const float* steps,
                    const float* alpha, int64_t rounds, int64_t max_index, int all_levels) {
    const Batch batch{count, height, width, (height + 7) / 8, (width + 7) / 8};
    const Entry* entries = entries_of(steps, alpha, rounds, int(max_index), all_levels);
    at::parallel_for(0, batch.tiles(), 8, [&](int64_t begin, int64_t end) {
        const WithoutDenormals guard;
        Tile<const float> source[2];
        Tile<float> target;
        alignas(64) Planes planes;
        source[begin % 2].locate(batch, begin, images);
        for (int64_t tile = begin; tile < end; ++tile) {
            Tile<const float>&here = source[tile % 2], &next = source[(tile + 1) % 2];
            next.locate(batch, std::min(tile + 1, end - 1), images);
            target.locate(batch, tile, output);
            here.fetch(batch, images, REPEAT);
            load_rows<Color>(here, planes);
            for (int c = 0; c < CHANNELS; ++c)
                for (int column = 0; column < 8; ++column) {
                    vf x[8];
                    for (int k = 0; k < 8; ++k) x[k] = planes[c][8 * k + column];
                    dct(x);
                    if (c == 0 && column == 0) x[0] -= DC;
                    for (int k = 0; k < 8; ++k) next.prefetch(c, column, k);
                    value_column(x, &entries[c * CELLS + column], rounds, !all_levels);
                    if (c == 0 && column == 0) x[0] += float(SHIFT);
                    transposed_dct(x);
                    for (int k = 0; k < 8; ++k) planes[c][8 * k + column] = x[k];
                }
            store_rows<false>(planes, target);
            target.deliver(batch, output, REPEAT);
        }
    });
}

// gradient: with respect to the output; by_images may be null; by_steps: (rounds, 2, 8, 8), overwritten.
// The order of all sums depends on the size of the batch alone, not on the number of threads.
void jpegdl_backward(const float* images, const float* gradient, float* by_images, double* by_steps, int64_t count,
                     int64_t height, int64_t width, const float* steps, const float* alpha, int64_t rounds,
                     int64_t max_index, int all_levels) {
    const Batch batch{count, height, width, (height + 7) / 8, (width + 7) / 8};
    const Entry* entries = entries_of(steps, alpha, rounds, int(max_index), all_levels);
    const int64_t tables = rounds * TABLES, tiles = batch.tiles(), jobs = std::min<int64_t>(tiles, tiles < 512 ? 8 : 64);
    std::vector<double> partial(jobs * tables, 0.0);
    at::parallel_for(0, jobs, 1, [&](int64_t first_job, int64_t last_job) {
        const WithoutDenormals guard;
        Tile<const float> source[2], upstream[2];
        Tile<float> target;
        alignas(64) Planes planes, slopes;
        alignas(64) vf sums[MOST_ROUNDS * TABLES];
        for (int64_t job = first_job; job < last_job; ++job) {
            const int64_t begin = tiles * job / jobs, end = tiles * (job + 1) / jobs;
            std::memset(sums, 0, tables * sizeof(vf));
            source[begin % 2].locate(batch, begin, images);
            upstream[begin % 2].locate(batch, begin, gradient);
            for (int64_t tile = begin; tile < end; ++tile) {
                const int now = tile % 2, then = 1 - now;
                source[then].locate(batch, std::min(tile + 1, end - 1), images);
                upstream[then].locate(batch, std::min(tile + 1, end - 1), gradient);
                source[now].fetch(batch, images, REPEAT);
                upstream[now].fetch(batch, gradient, ZERO);
                load_rows<Color>(source[now], planes);
                load_rows<ColorAdjoint>(upstream[now], slopes);
                for (int c = 0; c < CHANNELS; ++c)
                    for (int column = 0; column < 8; ++column) {
                        vf x[8], g[8];
                        for (int k = 0; k < 8; ++k) x[k] = planes[c][8 * k + column], g[k] = slopes[c][8 * k + column];
                        dct(x);
                        dct(g);
                        if (c == 0 && column == 0) x[0] -= DC;
                        for (int k = 0; k < 8; ++k)
                            source[then].prefetch(c, column, k), upstream[then].prefetch(c, column, k);
                        const int cell = c * CELLS + column;
                        backward_column(x, g, &sums[cell], &entries[cell], rounds, !all_levels);
                        if (!by_images) continue;
                        transposed_dct(g);
                        for (int k = 0; k < 8; ++k) slopes[c][8 * k + column] = g[k];
                    }
                if (by_images) {
                    target.locate(batch, tile, by_images);
                    store_rows<true>(slopes, target);
                    target.deliver(batch, by_images, ADD);
                }
                if (tile + 1 == end || (tile - begin) % FLUSH == FLUSH - 1)
                    for (int64_t i = 0; i < tables; ++i) partial[job * tables + i] += sum(sums[i]), sums[i] = vf{};
            }
        }
    });
    std::fill(by_steps, by_steps + rounds * 2 * CELLS, 0.0);
    for (int64_t job = 0; job < jobs; ++job)
        for (int64_t i = 0; i < tables; ++i) {
            const double square = scale_of(i) * scale_of(i), last = i / TABLES == rounds - 1;
            by_steps[table_of(i)] += partial[job * tables + i] * ((last ? square : 1) / unit_of(i));
        }
}

// The quantizer alone, for tests: `count` coefficients with one step; four results each, one after the other.
void jpegdl_quantize(const float* z, int64_t count, float step, float alpha, int64_t max_index, int all_levels,
                     float* results) {
    Rare rare;
    const Entry e = make_entry(step, alpha, int(max_index), all_levels, 1, 1, rare);
    const WithoutDenormals guard;
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t size = std::min<int64_t>(LANES, count - i);
        vf x = {};
        std::memcpy(&x, z + i, 4 * size);
        const Derivatives found = derivatives(x, e);
        const vf all[4] = {value(x, e), found.slope, found.by_step, found.by_alpha};
        for (int kind = 0; kind < 4; ++kind) std::memcpy(results + kind * count + i, &all[kind], 4 * size);
    }
}
}
