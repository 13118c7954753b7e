#include "step_definitions.h"

#include <stdbool.h>
#include <stdlib.h>

static int64_t floor_divide(int64_t n, int64_t d) {
    return n / d - (n % d < 0);
}

static int32_t bits_of(uint64_t a) {
    int32_t bits = 0;
    for (; a != 0; a >>= 1) {
        bits++;
    }
    return bits;
}

/* v * 2^k, floored; what it is used for fits. */
static int64_t scaled(int64_t v, int32_t k) {
    return k >= 0 ? v * (INT64_C(1) << k) : v >> -k;
}

static int64_t magnitude(int64_t v) {
    return v < 0 ? -v : v;
}

int32_t define_sat30(int64_t v) {
    const int64_t limit = INT64_C(1) << 30;
    return (int32_t)(v < -limit ? -limit : v >= limit ? limit - 1 : v);
}

/* sat30(v * 2^-s). */
static int32_t shift_sat30(int64_t v, int32_t s) {
    if (s >= 0) {
        return define_sat30(v >> (s > 62 ? 62 : s));
    }
    return define_sat30((int64_t)define_sat30(v) * (INT64_C(1) << (s < -31 ? 31 : -s)));
}

static int32_t trit_of(const ftv_linear *layer, ftv_encoding encoding, uint32_t row, uint32_t k) {
    const uint8_t *tile = layer->tiles + (size_t)(row / 16U) * layer->tile_bytes;
    uint32_t channel = row % 16U;
    if (encoding == FTV_T2) {
        return (tile[k / 16U * 64U + k % 4U * 16U + channel] >> (k % 16U / 4U * 2U) & 3) - 1;
    }
    uint32_t fraction = tile[k / 5U * 16U + channel];
    for (uint32_t i = 0; i < k % 5U; i++) {
        fraction = fraction * 3U % 256U;
    }
    return (int32_t)(fraction * 3U / 256U) - 1;
}

void define_linear(int32_t *y, const ftv_linear *layer, ftv_encoding encoding, ftv_rows x, uint32_t tokens,
                   uint32_t first_row, uint32_t rows) {
    int32_t *trits = malloc(layer->inputs * sizeof *trits);
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t n = first_row + row;
        for (uint32_t k = 0; k < layer->inputs; k++) {
            trits[k] = trit_of(layer, encoding, n, k);
        }
        for (uint32_t t = 0; t < tokens; t++) {
            int64_t acc = 0;
            for (uint32_t k = 0; k < layer->inputs; k++) {
                acc += x.codes[(size_t)t * x.stride + k] * trits[k];
            }
            int64_t m =
                ((int64_t)x.scales[t].mantissa * layer->mantissas[layer->per_channel ? n : 0U] + (1 << 14)) >> 15;
            int64_t v = shift_sat30(acc * m, x.scales[t].exponent + layer->exponent - 15);
            y[(size_t)t * rows + row] = define_sat30(v + (int64_t)layer->bias[n] * (1 << layer->bias_shift));
        }
    }
    free(trits);
}

static int64_t horner(int64_t x, const int32_t *coefficients, int degree) {
    int64_t r = coefficients[degree];
    for (int k = degree - 1; k >= 0; k--) {
        r = (r * x >> 15) + coefficients[k];
    }
    return r;
}

int32_t define_gelu(int32_t y) {
    static const int32_t delta[10] = {2979, -11173, 14283, 17, -19972, 18806, 1502, -9331, 1214, 1685};
    int64_t x = magnitude(y) >> 2;
    x = (x > 65535 ? 65535 : x) - 32768;
    return (int32_t)((y > 0 ? y : 0) - horner(x, delta, 9));
}

int32_t define_quantise(int8_t *codes, ftv_multiplier *scale, const int32_t *x, uint32_t columns, int32_t levels) {
    int64_t a = 1;
    for (uint32_t i = 0; i < columns; i++) {
        a = magnitude(x[i]) > a ? magnitude(x[i]) : a;
    }
    int32_t k = 15 - bits_of((uint64_t)a);
    int64_t a15 = scaled(a, k), reciprocal = ((int64_t)levels << 21) / a15;
    for (uint32_t i = 0; i < columns; i++) {
        codes[i] = (int8_t)((scaled(x[i], k) * reciprocal + (1 << 20)) >> 21);
    }
    *scale = (ftv_multiplier){(uint16_t)a15, (int16_t)k};
    return (int32_t)a;
}

void define_narrow(int16_t *values, int32_t *absmax, const int32_t *y, uint32_t columns) {
    for (uint32_t first = 0; first < columns; first += 16U) {
        int64_t a = 0;
        for (uint32_t i = 0; i < 16U; i++) {
            a = magnitude(y[first + i]) > a ? magnitude(y[first + i]) : a;
        }
        int32_t s = bits_of((uint64_t)a) - 15;
        for (uint32_t i = 0; i < 16U; i++) {
            values[first + i] = (int16_t)(y[first + i] >> (s > 0 ? s : 0));
        }
        absmax[first / 16U] = (int32_t)a;
    }
}

/* ---- LayerNorm ---- */

static int32_t vector_trit(const uint8_t *codes, uint32_t i) {
    return (codes[i / 4U] >> (2U * (i % 4U)) & 3) - 1;
}

static uint64_t integer_root(uint64_t v) {
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit != 0; bit >>= 1) {
        if ((root + bit) * (root + bit) <= v) {
            root += bit;
        }
    }
    return root;
}

static int64_t beta_step(ftv_multiplier ratio, uint64_t q, int32_t power) {
    const uint64_t limit = UINT64_C(1) << 29;
    int32_t by = ratio.exponent + power;
    uint64_t step = q * ratio.mantissa;
    if (by > 62) {
        return 0;
    }
    if (by > 0) {
        step = (step + (UINT64_C(1) << (by - 1))) >> by;
    } else {
        step = (step > limit ? limit : step) << (by < -30 ? 30 : -by);
    }
    return (int64_t)(step > limit ? limit : step);
}

static void define_norm_row(const ftv_norm_job *job, const int32_t *x, int8_t *codes, ftv_multiplier *scale) {
    int64_t columns = job->columns, sum = 0, a = 0;
    int32_t *u = malloc(job->columns * sizeof *u);
    for (uint32_t i = 0; i < job->columns; i++) {
        sum += x[i];
    }
    int64_t mean = floor_divide(sum, columns), rem = sum - mean * columns;
    for (uint32_t i = 0; i < job->columns; i++) {
        a = magnitude(x[i] - mean) > a ? magnitude(x[i] - mean) : a;
    }
    int32_t s = bits_of((uint64_t)a) > 26 ? bits_of((uint64_t)a) - 26 : 0;
    uint64_t v = 0;
    for (uint32_t i = 0; i < job->columns; i++) {
        v += (uint64_t)(((x[i] - mean) >> s) * ((x[i] - mean) >> s));
    }
    v -= s == 0 ? (uint64_t)(rem * rem / columns) : 0U;
    v += ((uint64_t)columns * job->eps_q32) >> (2 * s);
    v = v == 0 ? 1 : v;
    int32_t z = (64 - bits_of(v)) & ~1, n = a == 0 ? 0 : 14 - bits_of((uint64_t)a);
    uint64_t q = integer_root(v << z), r = (UINT64_C(1) << 46) / q;
    int64_t b = beta_step(job->norm->beta_ratio, q, z / 2 - s - n);
    for (uint32_t i = 0; i < job->columns; i++) {
        int64_t d14 = n >= 0 ? (x[i] - mean) * (1 << n) - rem * (1 << n) / columns : (x[i] - mean) >> -n;
        u[i] = (int32_t)(vector_trit(job->norm->gamma, i) * d14 + vector_trit(job->norm->beta, i) * b);
    }
    ftv_multiplier row;
    define_quantise(codes, &row, u, job->columns, 127);
    uint64_t p = row.mantissa * (r > 32767U ? 32767U : r);
    int32_t by = p < (UINT64_C(1) << 29) ? 14 : 15;
    uint64_t mantissa = (p + (UINT64_C(1) << (by - 1))) >> by;
    *scale = (ftv_multiplier){(uint16_t)(mantissa > 32767U ? 32767U : mantissa),
                              (int16_t)(row.exponent + n + s + 46 - z / 2 - by)};
    free(u);
}

void define_norm(const ftv_norm_job *job, int8_t *codes, ftv_multiplier *scales) {
    for (uint32_t row = 0; row < job->rows; row++) {
        define_norm_row(job, job->x + (size_t)row * job->x_stride, codes + (size_t)row * job->columns, &scales[row]);
    }
}

/* ---- attention ---- */

typedef struct coded_rows {
    int8_t *codes; /* [rows][columns] */
    int32_t *a;
    ftv_multiplier *scales;
    int32_t largest;
} coded_rows;

static coded_rows coded(const int32_t *x, uint32_t rows, uint32_t columns, int32_t levels) {
    coded_rows all = {malloc((size_t)rows * columns), malloc(rows * sizeof(int32_t)),
                      malloc(rows * sizeof(ftv_multiplier)), 0};
    for (uint32_t i = 0; i < rows; i++) {
        all.a[i] =
            define_quantise(all.codes + (size_t)i * columns, &all.scales[i], x + (size_t)i * columns, columns, levels);
        all.largest = all.a[i] > all.largest ? all.a[i] : all.largest;
    }
    return all;
}

static void release(coded_rows rows) {
    free(rows.codes);
    free(rows.a);
    free(rows.scales);
}

static int64_t exponential(uint64_t diff, uint64_t c, int32_t shift) {
    static const int32_t exp2_poly[4] = {32767, -22654, 7566, -1296};
    unsigned __int128 u = (unsigned __int128)diff * c;
    u = shift >= 0 ? u >> (shift > 62 ? 62 : shift) : u << (shift < -31 ? 31 : -shift);
    int64_t bounded = u > 32767 ? 32767 : (int64_t)u;
    return horner((bounded & 2047) << 4, exp2_poly, 3) >> (bounded >> 11);
}

static void define_query(int32_t *y, const coded_rows *q, uint32_t row, const coded_rows *k, const coded_rows *v,
                         uint32_t tokens, uint32_t head_dim, ftv_multiplier attention) {
    int32_t w = head_dim <= 64U ? 12 : head_dim <= 128U ? 11 : 10;
    int32_t shk = bits_of((uint64_t)k->largest) - w, shv = bits_of((uint64_t)v->largest) - 15;
    shk = shk < 0 ? 0 : shk;
    int64_t *t = malloc(tokens * sizeof *t), most = INT64_MIN, total = 0;
    for (uint32_t j = 0; j < tokens; j++) {
        int64_t acc = 0;
        for (uint32_t c = 0; c < head_dim; c++) {
            acc += q->codes[(size_t)row * head_dim + c] * k->codes[(size_t)j * head_dim + c];
        }
        t[j] = acc * (k->a[j] >> shk);
        most = t[j] > most ? t[j] : most;
    }
    uint64_t step = ((uint64_t)q->scales[row].mantissa * attention.mantissa + (1U << 14)) >> 15;
    for (uint32_t j = 0; j < tokens; j++) {
        int64_t e = exponential((uint64_t)(most - t[j]), step, q->scales[row].exponent + attention.exponent + 6 - shk);
        total += e;
        t[j] = (e * scaled(v->a[j], -shv) + (1 << 16)) >> 17;
    }
    int32_t b = bits_of((uint64_t)total);
    int64_t reciprocal = (INT64_C(1) << 30) / scaled(total, 16 - b);
    int64_t factor = ((reciprocal > 32767 ? 32767 : reciprocal) * 16513 + (1 << 14)) >> 15;
    for (uint32_t c = 0; c < head_dim; c++) {
        int64_t o = 0;
        for (uint32_t j = 0; j < tokens; j++) {
            o += t[j] * v->codes[(size_t)j * head_dim + c];
        }
        y[c] = shift_sat30(o * factor, b + 3 - shv);
    }
    free(t);
}

void define_attention(int32_t *y, const int32_t *q, const int32_t *k, const int32_t *v, uint32_t tokens,
                      uint32_t queries, uint32_t head_dim, ftv_multiplier attention) {
    coded_rows codes[3] = {coded(q, queries, head_dim, 63), coded(k, tokens, head_dim, 127),
                           coded(v, tokens, head_dim, 127)};
    for (uint32_t row = 0; row < queries; row++) {
        define_query(y + (size_t)row * head_dim, &codes[0], row, &codes[1], &codes[2], tokens, head_dim, attention);
    }
    for (int i = 0; i < 3; i++) {
        release(codes[i]);
    }
}
