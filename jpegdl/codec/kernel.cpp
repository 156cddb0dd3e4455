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
#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace {

#ifdef __AVX512F__
constexpr int LANES = 16;
#else
constexpr int LANES = 8;
#endif
constexpr int CELLS = 64, CHANNELS = 3, MOST_ROUNDS = 8;
constexpr int FLUSH = 64;  // tiles whose table gradients are added in float
typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
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
INLINE vf nearest(vf x) { return (x + 12582912.0f) - 12582912.0f; }  // half to even, |x| < 2^22
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
INLINE float sum(vf x) {
    float total = 0;
    for (int lane = 0; lane < LANES; ++lane) total += x[lane];
    return total;
}

INLINE vf reciprocal(vf x) {
#ifdef __AVX512F__
    const vf r = (vf)_mm512_rcp14_ps((__m512)x);
    return r + r * (1.0f - x * r);
#else
    return 1.0f / x;
#endif
}

// Most arithmetic is written for N registers side by side, one line for all of them: alone, each would wait for itself.
#define EACH _Pragma("GCC unroll 4") for (int k = 0; k < N; ++k)
constexpr int GROUP = 4, DOWN = 8;  // cells side by side; distance of the cells of a column

// exp2(x[k]) for -126 < x <= 0, to 2e-7.
template <int N>
INLINE void exponentials(vf x[]) {
    vf n[N], r[N], p[N];
    EACH n[k] = x[k] + 12582912.0f;
    EACH r[k] = x[k] - (n[k] - 12582912.0f);
    EACH p[k] = r[k] * 1.3263234e-3f + 9.6697076e-3f;  // least relative error on |r| <= 1 / 2
    EACH p[k] = p[k] * r[k] + 5.5506739e-2f;
    EACH p[k] = p[k] * r[k] + 2.4022242e-1f;
    EACH p[k] = p[k] * r[k] + 6.9314697e-1f;
    EACH p[k] = p[k] * r[k] + 1.0f;
    EACH x[k] = (vf)((vi)p[k] + ((vi)n[k] << 23));
}

// --- the quantizer ---------------------------------------------------------------------------------------------------

enum Method { IDENTITY, THETA, WINDOW };

struct Rare {  // what only some methods need
    Method method;
    float max_index, edge;  // |z| from which the sum over all levels is finite
    float first, second;    // exp(-pi^2 / h), exp(-4 pi^2 / h)
    float ladder[8];        // d^6, d^3, d, 1, 1, d, d^3, d^6
};

struct Entry {  // what depends on one table entry; small, because the cache also holds the tile
    float step, high, low, inverse, half;  // step = high + low, products of high with an index are exact
    float rate;                            // 2 h / q / log(2), h the hardness
    float decay, twice, cube, two_cubes;   // d = exp(-2 h), 2 d, d^3, 2 d^3; 0 where they do not matter
    float gain, limited;                   // 2 h; |z| from which the window moves inside
    const Rare* rare;
};

struct Derivatives {
    vf slope, by_step, by_alpha;
};

Entry make_entry(float step, float alpha, int max_index, bool all_levels, Rare& rare) {
    Entry e;
    const float pi = 3.14159265358979f, h = alpha * step * step;
    e.step = step, e.inverse = 1 / step, e.half = step / 2, e.gain = 2 * h, e.rare = &rare;
    e.rate = float(2 * double(h) / step * 1.44269504088896341);
    const volatile float scaled = step * 4097.0f;
    const volatile float rest = scaled - step;
    e.high = scaled - rest, e.low = step - e.high;
    const auto decay = [&](int n) { return n * 2 * h > 83 ? 0.0f : std::exp(-2 * h * n); };
    e.decay = decay(1), e.twice = 2 * e.decay, e.cube = decay(3), e.two_cubes = 2 * e.cube;
    e.limited = (max_index - 1.501f) * step;
    rare.method = !all_levels || !(h < pi) ? WINDOW : h < 0.4f ? IDENTITY : THETA;
    rare.max_index = float(max_index);
    rare.edge = step * (max_index + 1 - std::sqrt(28.0f / h + 0.25f));
    rare.first = rare.method == THETA ? std::exp(-pi * pi / h) : 0;
    rare.second = rare.method == THETA ? std::exp(-4 * pi * pi / h) : 0;
    for (int j = 0; j < 4; ++j) rare.ladder[4 + j] = rare.ladder[3 - j] = decay(j * (j + 1) / 2);
    return e;
}

INLINE vf offset_from(vf index, vf z, const Entry& e) { return (z - index * e.high) - index * e.low; }

constexpr float LEAST = -62;  // log2 of the least E; its square must not vanish

// No limit near. E is the weight of the second nearest level; all weights are taken times E^2.
template <int N>
INLINE void window_values_inside(vf z[], const Entry* e) {
    vf offset[N], x[N], total[N], odd[N];
    EACH x[k] = nearest(z[k] * e[DOWN * k].inverse);
    EACH offset[k] = z[k] - x[k] * e[DOWN * k].high;
    EACH offset[k] = offset[k] - x[k] * e[DOWN * k].low;
    EACH x[k] = most((magnitude(offset[k]) - e[DOWN * k].half) * e[DOWN * k].rate, splat(LEAST));
    exponentials<N>(x);
    EACH total[k] = x[k] * e[DOWN * k].decay + 1.0f;
    EACH odd[k] = x[k] * e[DOWN * k].twice + 1.0f;
    EACH total[k] = total[k] * x[k] + 1.0f;
    EACH odd[k] = odd[k] * (x[k] * x[k]) - e[DOWN * k].decay;
    EACH total[k] = total[k] * x[k] + e[DOWN * k].decay;
    EACH odd[k] = odd[k] * x[k] - e[DOWN * k].two_cubes;
    EACH total[k] = reciprocal(total[k] * x[k] + e[DOWN * k].cube);
    EACH odd[k] = with_sign(odd[k] * total[k], offset[k]);
    EACH z[k] = z[k] + (odd[k] * e[DOWN * k].step - offset[k]);
}

// From moments of g = j - anchor, mirrored by sign (method a.6).
INLINE Derivatives assemble(vf anchor, vf distance, vf sign, vf mean, vf variance, vf skew, const Entry& e) {
    vf excess = skew - variance * distance;
    vf slope = variance * e.gain;
    vf odd = mean - excess * e.gain;
    vf cube = splat(e.step * e.step * e.step);
    return {slope, anchor * (1.0f - slope) + with_sign(odd, sign),
            with_sign((variance * distance - excess) * cube, sign)};
}

template <int N>
INLINE void window_derivatives_inside(const vf z[], const Entry* e, Derivatives found[]) {
    vf anchor[N], offset[N], x[N], square[N], inner[N], outer[N], total[N], mean[N], second[N], third[N];
    EACH anchor[k] = nearest(z[k] * e[DOWN * k].inverse);
    EACH offset[k] = z[k] - anchor[k] * e[DOWN * k].high;
    EACH offset[k] = offset[k] - anchor[k] * e[DOWN * k].low;
    EACH x[k] = most((magnitude(offset[k]) - e[DOWN * k].half) * e[DOWN * k].rate, splat(LEAST));
    exponentials<N>(x);
    EACH square[k] = x[k] * x[k];
    EACH inner[k] = x[k] * (square[k] + e[DOWN * k].decay);  // weights of the inner two, of the outer two
    EACH outer[k] = (square[k] * square[k]) * e[DOWN * k].decay + e[DOWN * k].cube;
    EACH total[k] = reciprocal(square[k] + inner[k] + outer[k]);
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

// The limit L may be near: the window is five levels of -L .. L, so the weights of level i = 0 .. 4, counted from the
// end where E = 1 belongs, are E^i times five neighbours of d^6, d^3, d, 1, 1, d, d^3, d^6, where `first` says which.
INLINE vf pick(const Entry& e, vi index) {
    vf steps;
    for (int i = 0; i < LANES; i += 8) std::memcpy((float*)&steps + i, e.rare->ladder, sizeof e.rare->ladder);
#if defined(__AVX512F__)
    return (vf)_mm512_permutexvar_ps((__m512i)index, (__m512)steps);
#elif defined(__AVX2__)
    return (vf)_mm256_permutevar8x32_ps((__m256)steps, (__m256i)index);
#else
    vf found;
    for (int lane = 0; lane < LANES; ++lane) found[lane] = steps[index[lane]];
    return found;
#endif
}

template <int N>
INLINE void limited(const vf z[], const Entry* e, vf anchor[], vf offset[], vf x[], vf y[], vi first[], vi out[]) {
    vf floor[N];
    EACH anchor[k] = least(magnitude(z[k]) * e[DOWN * k].inverse, splat(e[DOWN * k].rare->max_index + 1));
    EACH anchor[k] = least(nearest(anchor[k]), splat(e[DOWN * k].rare->max_index));
    EACH offset[k] = magnitude(z[k]) - anchor[k] * e[DOWN * k].high;
    EACH offset[k] = offset[k] - anchor[k] * e[DOWN * k].low;
    EACH y[k] = least(e[DOWN * k].rare->max_index - anchor[k], splat(2));  // so many levels exist outwards
    EACH out[k] = (offset[k] > 0.0f) & (y[k] > 0.0f);                // E belongs to the outward neighbour
    EACH floor[k] = y[k] > 0.0f ? splat(LEAST / 2) : splat(LEAST);  // here the fourth power must not vanish
    EACH x[k] = out[k] ? offset[k] - e[DOWN * k].half : -offset[k] - e[DOWN * k].half;
    EACH x[k] = most(least(x[k] * e[DOWN * k].rate, vf{}), floor[k]);
    exponentials<N>(x);
    EACH y[k] = out[k] ? (y[k] > 1.5f ? splat(-2) : splat(-3)) : -y[k];
    EACH first[k] = (vi)(y[k] + 12582915.0f) & 7;
}

template <int N>
INLINE void window_values_limited(vf z[], const Entry* e) {
    vf anchor[N], offset[N], x[N], y[N], sum[N], slope[N];
    vi first[N], out[N];
    limited<N>(z, e, anchor, offset, x, y, first, out);
    EACH slope[k] = pick(e[DOWN * k], first[k] + 4);
    EACH sum[k] = slope[k] * x[k] + pick(e[DOWN * k], first[k] + 3);
    for (int i = 2; i >= 0; --i) {
        EACH slope[k] = slope[k] * x[k] + sum[k];
        EACH sum[k] = sum[k] * x[k] + pick(e[DOWN * k], first[k] + i);
    }
    EACH y[k] = slope[k] * x[k] * reciprocal(sum[k]) + y[k];
    EACH z[k] = with_sign((anchor[k] + (out[k] ? y[k] : -y[k])) * e[DOWN * k].step, z[k]);
}

template <int N>
INLINE void window_derivatives_limited(const vf z[], const Entry* e, Derivatives found[]) {
    vf anchor[N], offset[N], x[N], y[N], term[N], power[N], total[N], mean[N], second[N], third[N];
    vi first[N], out[N];
    limited<N>(z, e, anchor, offset, x, y, first, out);
    EACH power[k] = splat(1), total[k] = mean[k] = second[k] = third[k] = vf{};
    for (int i = 0; i < 5; ++i) {
        EACH term[k] = power[k] * pick(e[DOWN * k], first[k] + i);
        EACH power[k] = power[k] * x[k];
        EACH total[k] = total[k] + term[k];
        EACH mean[k] = mean[k] + (term[k] = term[k] * y[k]);
        EACH second[k] = second[k] + (term[k] = term[k] * y[k]);
        EACH third[k] = third[k] + term[k] * y[k];
        EACH y[k] = y[k] + 1.0f;
    }
    EACH total[k] = reciprocal(total[k]);
    EACH mean[k] = mean[k] * total[k];
    EACH second[k] = second[k] * total[k];
    EACH third[k] = third[k] * total[k] - mean[k] * second[k];
    EACH second[k] = second[k] - mean[k] * mean[k];
    EACH third[k] = out[k] ? third[k] : -third[k];
    EACH mean[k] = out[k] ? mean[k] : -mean[k];
    EACH found[k] = assemble(with_sign(anchor[k], z[k]), offset[k] * e[DOWN * k].inverse, z[k], mean[k], second[k],
                             third[k], e[DOWN * k]);
}

template <int N>
INLINE bool limit_near(const vf z[], const Entry* e) {
    vi far = {};
    EACH far |= ((vi)splat(e[DOWN * k].limited)) - ((vi)z[k] & 0x7fffffff);  // negative from there on
    return any(far);
}

template <int N>
INLINE void window_values(vf z[], const Entry* e) {
    if (limit_near<N>(z, e)) window_values_limited<N>(z, e);
    else window_values_inside<N>(z, e);
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
    vf y = offset_from(nearest(z * e.inverse), z, e) * (3.14159265358979f * e.inverse), s = y * y;
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

// One coefficient near the limit: the levels that weigh anything, in double (levels.py, _finite_sum).
__attribute__((noinline)) void finite_sum(float z, const Entry& e, float out[4]) {
    const double step = e.step, h = e.gain / 2, size = std::fabs(double(z)), limit = e.rare->max_index, negligible = 41;
    const double n = std::min(std::nearbyint(std::min(size / step, limit + 1)), limit), d = size / step - n;
    double total = 1, sums[3] = {0, 0, 0};
    for (int side = 1; side >= -1; side -= 2) {
        const int count = int(side > 0 ? limit - n : limit + n);
        for (int k = 1; k <= count; ++k) {
            const double g = side * k, exponent = h * (g * g - 2 * g * d);
            if (exponent > negligible && k > 1) break;
            const double w = std::exp(-std::max(exponent, 0.0));
            total += w, sums[0] += w * g, sums[1] += w * g * g, sums[2] += w * g * g * g;
        }
    }
    const double mean = sums[0] / total, square = sums[1] / total, cube = sums[2] / total;
    const double variance = square - mean * mean, excess = cube - mean * square - variance * d;
    const double slope = 2 * h * variance, sign = z < 0 ? -1 : 1;
    out[0] = float(sign * (n + mean) * step);
    out[1] = float(slope);
    out[2] = float(sign * (n * (1 - slope) + mean - 2 * h * excess));
    out[3] = float(sign * (variance * d - excess) * step * step * step);
}

INLINE vf value(vf z, const Entry& e) {
    vf result = z;
    if (e.rare->method == WINDOW) {
        window_values<1>(&result, &e);
        return result;
    }
    if (e.rare->method == THETA) result = theta_value(z, e);
    vi near = magnitude(z) > e.rare->edge;
    if (__builtin_expect(any(near), 0))
        for (int lane = 0; lane < LANES; ++lane)
            if (near[lane]) {
                float exact[4];
                finite_sum(z[lane], e, exact);
                result[lane] = exact[0];
            }
    return result;
}

INLINE Derivatives derivatives(vf z, const Entry& e) {
    Derivatives result = {splat(1), vf{}, vf{}};
    if (e.rare->method == WINDOW) {
        window_derivatives<1>(&z, &e, &result);
        return result;
    }
    if (e.rare->method == THETA) result = theta_derivatives(z, e);
    vi near = magnitude(z) > e.rare->edge;
    if (__builtin_expect(any(near), 0))
        for (int lane = 0; lane < LANES; ++lane)
            if (near[lane]) {
                float exact[4];
                finite_sum(z[lane], e, exact);
                result.slope[lane] = exact[1], result.by_step[lane] = exact[2], result.by_alpha[lane] = exact[3];
            }
    return result;
}

// A column of eight coefficients; all rounds are in series.
INLINE void value_column(vf x[8], const Entry* e, int64_t rounds, bool windows) {
    for (int64_t round = 0; round < rounds; ++round, e += 2 * CELLS)
        for (int k = 0; k < 8; k += GROUP) {
            if (windows) window_values<GROUP>(x + k, e + DOWN * k);
            else
                for (int i = k; i < k + GROUP; ++i) x[i] = value(x[i], e[DOWN * i]);
        }
}

// x: coefficients; g: gradient with respect to the result, replaced; sums: added to, g times the derivative by step.
INLINE void backward_round(const vf x[8], vf g[8], vf* sums, const Entry* e, bool windows) {
    constexpr int N = GROUP;
    for (int group = 0; group < 8; group += N, x += N, g += N, sums += DOWN * N, e += DOWN * N) {
        Derivatives found[N];
        if (windows) window_derivatives<N>(x, e, found);
        else EACH found[k] = derivatives(x[k], e[DOWN * k]);
        EACH sums[DOWN * k] += g[k] * found[k].by_step;
        EACH g[k] *= found[k].slope;
    }
}

__attribute__((noinline)) void backward_rounds(const vf x[8], vf g[8], vf* sums, const Entry* e, int64_t rounds, bool windows) {
    vf inputs[MOST_ROUNDS][8];
    std::memcpy(inputs[0], x, sizeof inputs[0]);
    for (int64_t round = 1; round < rounds; ++round) {
        std::memcpy(inputs[round], inputs[round - 1], sizeof inputs[0]);
        value_column(inputs[round], e + (round - 1) * 2 * CELLS, 1, windows);
    }
    for (int64_t round = rounds - 1; round >= 0; --round)
        backward_round(inputs[round], g, sums + round * 2 * CELLS, e + round * 2 * CELLS, windows);
}

INLINE void backward_column(const vf x[8], vf g[8], vf* sums, const Entry* e, int64_t rounds, bool windows) {
    if (rounds > 1) return backward_rounds(x, g, sums, e, rounds, windows);
    backward_round(x, g, sums, e, windows);
}

// --- DCT and transposes ----------------------------------------------------------------------------------------------

constexpr float C1 = 0.490392640201615f, C2 = 0.461939766255643f, C3 = 0.415734806151273f, C4 = 0.353553390593274f,
                C5 = 0.277785116509801f, C6 = 0.191341716182545f, C7 = 0.0975451610080642f;  // cos(k pi / 16) / 2

INLINE void odd_part(const vf in[4], vf out[4]) {  // symmetric, so its own inverse and transpose
    out[0] = in[0] * C1 + in[1] * C3 + in[2] * C5 + in[3] * C7;
    out[1] = in[0] * C3 - in[1] * C7 - in[2] * C1 - in[3] * C5;
    out[2] = in[0] * C5 - in[1] * C1 + in[2] * C7 + in[3] * C3;
    out[3] = in[0] * C7 - in[1] * C5 + in[2] * C3 - in[3] * C1;
}

INLINE void dct(vf x[8]) {
    vf e0 = x[0] + x[7], e1 = x[1] + x[6], e2 = x[2] + x[5], e3 = x[3] + x[4];
    vf in[4] = {x[0] - x[7], x[1] - x[6], x[2] - x[5], x[3] - x[4]}, out[4];
    vf s0 = e0 + e3, s1 = e1 + e2, d0 = e0 - e3, d1 = e1 - e2;
    odd_part(in, out);
    x[0] = (s0 + s1) * C4, x[4] = (s0 - s1) * C4, x[2] = d0 * C2 + d1 * C6, x[6] = d0 * C6 - d1 * C2;
    x[1] = out[0], x[3] = out[1], x[5] = out[2], x[7] = out[3];
}

INLINE void inverse_dct(vf x[8]) {
    vf s0 = (x[0] + x[4]) * C4, s1 = (x[0] - x[4]) * C4, d0 = x[2] * C2 + x[6] * C6, d1 = x[2] * C6 - x[6] * C2;
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

typedef float Matrix[3][3];
constexpr float KR = 0.299f, KG = 0.587f, KB = 0.114f, BLUE = 2 * (1 - KB), RED = 2 * (1 - KR), WHITE = 255, SHIFT = 128;
constexpr Matrix COLOR = {{KR * WHITE, KG * WHITE, KB * WHITE},
                          {-KR / BLUE * WHITE, -KG / BLUE * WHITE, 0.5f * WHITE},
                          {0.5f * WHITE, -KG / RED * WHITE, -KB / RED * WHITE}};
constexpr Matrix INVERSE = {{1 / WHITE, 0, RED / WHITE},
                            {1 / WHITE, -KB * BLUE / KG / WHITE, -KR* RED / KG / WHITE},
                            {1 / WHITE, BLUE / WHITE, 0}};
constexpr Matrix COLOR_TRANSPOSED = {{COLOR[0][0], COLOR[1][0], COLOR[2][0]},
                                     {COLOR[0][1], COLOR[1][1], COLOR[2][1]},
                                     {COLOR[0][2], COLOR[1][2], COLOR[2][2]}};
constexpr Matrix INVERSE_TRANSPOSED = {{INVERSE[0][0], INVERSE[1][0], INVERSE[2][0]},
                                       {INVERSE[0][1], INVERSE[1][1], INVERSE[2][1]},
                                       {INVERSE[0][2], INVERSE[1][2], INVERSE[2][2]}};

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

// Pixels of a tile, mixed by a colour matrix, with the horizontal DCT: planes[c][8 y + frequency].
INLINE void load_rows(const Tile<const float>& tile, const Matrix& matrix, Planes& planes) {
    for (int y = 0; y < 8; ++y) {
        vf raw[CHANNELS][8];
        for (int k = 0; k < 8; ++k)
            for (int c = 0; c < CHANNELS; ++c)
                std::memcpy(&raw[c][k], tile.start[k] + c * tile.channel[k] + y * tile.row[k], sizeof(vf));
        for (int c = 0; c < CHANNELS; ++c) {
            vf x[8];
            for (int k = 0; k < 8; ++k)
                x[k] = raw[0][k] * matrix[c][0] + raw[1][k] * matrix[c][1] + raw[2][k] * matrix[c][2];
            to_lanes(x);
            dct(x);
            for (int k = 0; k < 8; ++k) planes[c][8 * y + k] = x[k];
        }
    }
}

// The inverse: planes -> pixels of a tile, plus a constant.
INLINE void store_rows(Planes& planes, const Matrix& matrix, float shift, const Tile<float>& tile) {
    for (int y = 0; y < 8; ++y) {
        vf raw[CHANNELS][8], x[8];
        for (int c = 0; c < CHANNELS; ++c) {
            for (int k = 0; k < 8; ++k) raw[c][k] = planes[c][8 * y + k];
            inverse_dct(raw[c]);
            from_lanes(raw[c]);
        }
        for (int c = 0; c < CHANNELS; ++c) {
            for (int k = 0; k < 8; ++k) {
                x[k] = raw[0][k] * matrix[c][0] + raw[1][k] * matrix[c][1] + (raw[2][k] * matrix[c][2] + shift);
                std::memcpy(tile.start[k] + c * tile.channel[k] + y * tile.row[k], &x[k], sizeof(vf));
            }
        }
    }
}

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
        kept.rare.resize(count), kept.entries.resize(count);
        for (size_t i = 0; i < count; ++i)
            kept.entries[i] = make_entry(steps[i], alpha[i], max_index, all_levels, kept.rare[i]);
        kept.made_for = std::move(wanted);
    }
    return kept.entries.data();
}

constexpr float DC = 8 * SHIFT;  // what the level shift takes from the first luma coefficient
}  // namespace

extern "C" {

int jpegdl_lanes() { return LANES; }

// images, output: (count, 3, height, width); steps, alpha: (rounds, 2, 8, 8).
void jpegdl_forward(const float* images, float* output, int64_t count, int64_t height, int64_t width, const float* steps,
                    const float* alpha, int64_t rounds, int64_t max_index, int all_levels) {
    const Batch batch{count, height, width, (height + 7) / 8, (width + 7) / 8};
    const Entry* entries = entries_of(steps, alpha, rounds, int(max_index), all_levels);
    at::parallel_for(0, batch.tiles(), 8, [&](int64_t begin, int64_t end) {
        Tile<const float> source[2];
        Tile<float> target;
        alignas(64) Planes planes;
        source[begin % 2].locate(batch, begin, images);
        for (int64_t tile = begin; tile < end; ++tile) {
            Tile<const float>&here = source[tile % 2], &next = source[(tile + 1) % 2];
            next.locate(batch, std::min(tile + 1, end - 1), images);
            target.locate(batch, tile, output);
            here.fetch(batch, images, REPEAT);
            load_rows(here, COLOR, planes);
            for (int c = 0; c < CHANNELS; ++c)
                for (int column = 0; column < 8; ++column) {
                    vf x[8];
                    for (int k = 0; k < 8; ++k) x[k] = planes[c][8 * k + column];
                    dct(x);
                    if (c == 0 && column == 0) x[0] -= DC;
                    for (int k = 0; k < 8; ++k) next.prefetch(c, column, k);
                    value_column(x, &entries[(c > 0) * CELLS + column], rounds, !all_levels);
                    inverse_dct(x);
                    for (int k = 0; k < 8; ++k) planes[c][8 * k + column] = x[k];
                }
            store_rows(planes, INVERSE, SHIFT / WHITE, target);
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
    const int64_t tables = rounds * 2 * CELLS, tiles = batch.tiles(), jobs = std::min<int64_t>(tiles, tiles < 512 ? 8 : 64);
    std::vector<double> partial(jobs * tables, 0.0);
    at::parallel_for(0, jobs, 1, [&](int64_t first_job, int64_t last_job) {
        Tile<const float> source[2], upstream[2];
        Tile<float> target;
        alignas(64) Planes planes, slopes;
        alignas(64) vf sums[MOST_ROUNDS * 2 * CELLS];
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
                load_rows(source[now], COLOR, planes);
                load_rows(upstream[now], INVERSE_TRANSPOSED, slopes);
                for (int c = 0; c < CHANNELS; ++c)
                    for (int column = 0; column < 8; ++column) {
                        vf x[8], g[8];
                        for (int k = 0; k < 8; ++k) x[k] = planes[c][8 * k + column], g[k] = slopes[c][8 * k + column];
                        dct(x);
                        dct(g);
                        if (c == 0 && column == 0) x[0] -= DC;
                        for (int k = 0; k < 8; ++k)
                            source[then].prefetch(c, column, k), upstream[then].prefetch(c, column, k);
                        const int cell = (c > 0) * CELLS + column;
                        backward_column(x, g, &sums[cell], &entries[cell], rounds, !all_levels);
                        if (!by_images) continue;
                        inverse_dct(g);
                        for (int k = 0; k < 8; ++k) slopes[c][8 * k + column] = g[k];
                    }
                if (by_images) {
                    target.locate(batch, tile, by_images);
                    store_rows(slopes, COLOR_TRANSPOSED, 0, target);
                    target.deliver(batch, by_images, ADD);
                }
                if (tile + 1 == end || (tile - begin) % FLUSH == FLUSH - 1)
                    for (int64_t i = 0; i < tables; ++i) partial[job * tables + i] += sum(sums[i]), sums[i] = vf{};
            }
        }
    });
    std::fill(by_steps, by_steps + tables, 0.0);
    for (int64_t job = 0; job < jobs; ++job)
        for (int64_t i = 0; i < tables; ++i) by_steps[i] += partial[job * tables + i];
}

// The quantizer alone, for tests: `count` coefficients with one step; four results each, one after the other.
void jpegdl_quantize(const float* z, int64_t count, float step, float alpha, int64_t max_index, int all_levels,
                     float* results) {
    Rare rare;
    const Entry e = make_entry(step, alpha, int(max_index), all_levels, rare);
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
