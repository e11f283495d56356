/* nbody.c - floating point: the solar system, a spectral norm, the Mandelbrot set, Gaussian elimination, and libm.
 *
 *   nbody [STEPS [SIZE]]        prints every result as a decimal and as the bits of the double
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOLAR_MASS (4 * M_PI * M_PI)
#define DAYS_PER_YEAR 365.24

enum { BODIES = 5, SIZE_MAX_ = 256, FFT_MAX = 1024 };

typedef struct body {
    double position[3];
    double velocity[3];
    double mass;
} body;

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void show(const char *name, double value) {
    printf("%-22s %.9f %016llx\n", name, value, (unsigned long long)bits_of(value));
}

/* ---- The solar system -------------------------------------------------------------------------------------------------- */
static body solar_system[BODIES] = {
    {{0, 0, 0}, {0, 0, 0}, SOLAR_MASS},
    {{4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01},
     {1.66007664274403694e-03 * DAYS_PER_YEAR, 7.69901118419740425e-03 * DAYS_PER_YEAR, -6.90460016972063023e-05 * DAYS_PER_YEAR},
     9.54791938424326609e-04 * SOLAR_MASS},
    {{8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01},
     {-2.76742510726411021e-03 * DAYS_PER_YEAR, 4.99852801234917238e-03 * DAYS_PER_YEAR, 2.30417297573763929e-05 * DAYS_PER_YEAR},
     2.85885980666130812e-04 * SOLAR_MASS},
    {{1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01},
     {2.96460137564761618e-03 * DAYS_PER_YEAR, 2.37847173959480950e-03 * DAYS_PER_YEAR, -2.96589568540237556e-05 * DAYS_PER_YEAR},
     4.36624404335156298e-05 * SOLAR_MASS},
    {{1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01},
     {2.68067772490389322e-03 * DAYS_PER_YEAR, 1.62824170038242295e-03 * DAYS_PER_YEAR, -9.51592254519715870e-05 * DAYS_PER_YEAR},
     5.15138902046611451e-05 * SOLAR_MASS},
};

static void offset_momentum(body *bodies) {
    for (int axis = 0; axis < 3; axis++) {
        double momentum = 0;
        for (int i = 0; i < BODIES; i++) momentum += bodies[i].velocity[axis] * bodies[i].mass;
        bodies[0].velocity[axis] = -momentum / SOLAR_MASS;
    }
}

static double energy(const body *bodies) {
    double total = 0;
    for (int i = 0; i < BODIES; i++) {
        const double *v = bodies[i].velocity;
        total += 0.5 * bodies[i].mass * (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
        for (int j = i + 1; j < BODIES; j++) {
            double square = 0;
            for (int axis = 0; axis < 3; axis++) {
                double delta = bodies[i].position[axis] - bodies[j].position[axis];
                square += delta * delta;
            }
            total -= bodies[i].mass * bodies[j].mass / sqrt(square);
        }
    }
    return total;
}

static void advance(body *bodies, double dt) {
    for (int i = 0; i < BODIES; i++) {
        for (int j = i + 1; j < BODIES; j++) {
            double delta[3], square = 0;
            for (int axis = 0; axis < 3; axis++) {
                delta[axis] = bodies[i].position[axis] - bodies[j].position[axis];
                square += delta[axis] * delta[axis];
            }
            double magnitude = dt / (square * sqrt(square));
            for (int axis = 0; axis < 3; axis++) {
                bodies[i].velocity[axis] -= delta[axis] * bodies[j].mass * magnitude;
                bodies[j].velocity[axis] += delta[axis] * bodies[i].mass * magnitude;
            }
        }
    }
    for (int i = 0; i < BODIES; i++)
        for (int axis = 0; axis < 3; axis++) bodies[i].position[axis] += dt * bodies[i].velocity[axis];
}

static void run_solar_system(int steps) {
    offset_momentum(solar_system);
    show("energy before", energy(solar_system));
    for (int step = 0; step < steps; step++) advance(solar_system, 0.01);
    show("energy after", energy(solar_system));
    show("jupiter x", solar_system[1].position[0]);
}

/* ---- Spectral norm ------------------------------------------------------------------------------------------------------ */
static double eval_a(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void eval_a_times(int size, int is_transposed, const double *in, double *out) {
    for (int i = 0; i < size; i++) {
        double sum = 0;
        for (int j = 0; j < size; j++) sum += (is_transposed ? eval_a(j, i) : eval_a(i, j)) * in[j];
        out[i] = sum;
    }
}

static void run_spectral_norm(int size) {
    static double u[SIZE_MAX_], v[SIZE_MAX_], t[SIZE_MAX_];
    for (int i = 0; i < size; i++) u[i] = 1;
    for (int round = 0; round < 10; round++) {
        eval_a_times(size, 0, u, t);
        eval_a_times(size, 1, t, v);
        eval_a_times(size, 0, v, t);
        eval_a_times(size, 1, t, u);
    }
    double vbv = 0, vv = 0;
    for (int i = 0; i < size; i++) {
        vbv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    show("spectral norm", sqrt(vbv / vv));
}

/* ---- The Mandelbrot set ---------------------------------------------------------------------------------------------------- */
static void run_mandelbrot(int size) {
    uint32_t checksum = 0, inside = 0;
    for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x++) {
            double cr = 2.0 * x / size - 1.5, ci = 2.0 * y / size - 1.0, zr = 0, zi = 0;
            uint32_t count = 0;
            while (count < 200 && zr * zr + zi * zi < 4.0) {
                double next = zr * zr - zi * zi + cr;
                zi = 2 * zr * zi + ci;
                zr = next;
                count++;
            }
            inside += count == 200;
            checksum = checksum * 31 + count;
        }
    }
    printf("%-22s %u of %d, checksum %08x\n", "mandelbrot", inside, size * size, checksum);
}

/* ---- Gaussian elimination ----------------------------------------------------------------------------------------------------- */
static uint32_t random_state = 12345;

static double random_double(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return (double)(random_state >> 8) / (1 << 24) - 0.5;
}

static void run_elimination(int size) {
    double *matrix = malloc(sizeof(double) * (size_t)size * (size_t)(size + 1));
    if (matrix == NULL) exit(3);
    int width = size + 1;
    for (int row = 0; row < size; row++) {
        double sum = 0;
        for (int column = 0; column < size; column++) sum += matrix[row * width + column] = random_double();
        matrix[row * width + size] = sum; /* so the solution is all ones */
    }
    double determinant = 1;
    for (int pivot = 0; pivot < size; pivot++) {
        int best = pivot;
        for (int row = pivot + 1; row < size; row++)
            if (fabs(matrix[row * width + pivot]) > fabs(matrix[best * width + pivot])) best = row;
        if (best != pivot) determinant = -determinant;
        for (int column = 0; column < width; column++) {
            double held = matrix[pivot * width + column];
            matrix[pivot * width + column] = matrix[best * width + column];
            matrix[best * width + column] = held;
        }
        determinant *= matrix[pivot * width + pivot];
        for (int row = pivot + 1; row < size; row++) {
            double factor = matrix[row * width + pivot] / matrix[pivot * width + pivot];
            for (int column = pivot; column < width; column++)
                matrix[row * width + column] -= factor * matrix[pivot * width + column];
        }
    }
    double worst = 0;
    for (int row = size - 1; row >= 0; row--) {
        double value = matrix[row * width + size];
        for (int column = row + 1; column < size; column++) value -= matrix[row * width + column] * matrix[column * width + size];
        matrix[row * width + size] = value / matrix[row * width + row];
        double error = fabs(matrix[row * width + size] - 1);
        if (error > worst) worst = error;
    }
    free(matrix);
    show("determinant", determinant);
    show("worst error", worst);
}

/* ---- Fourier transform -------------------------------------------------------------------------------------------------------- */
static void fourier(double *re, double *im, int size, int sign) {
    for (int i = 1, j = 0; i < size; i++) {
        int bit = size >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i < j) {
            double r = re[i], m = im[i];
            re[i] = re[j], im[i] = im[j], re[j] = r, im[j] = m;
        }
    }
    for (int length = 2; length <= size; length <<= 1) {
        double angle = sign * 2 * M_PI / length;
        for (int start = 0; start < size; start += length) {
            for (int k = 0; k < length / 2; k++) {
                double c = cos(angle * k), s = sin(angle * k);
                int low = start + k, high = low + length / 2;
                double r = re[high] * c - im[high] * s, m = re[high] * s + im[high] * c;
                re[high] = re[low] - r, im[high] = im[low] - m;
                re[low] += r, im[low] += m;
            }
        }
    }
}

static void run_fourier(int size) {
    static double re[FFT_MAX], im[FFT_MAX], original[FFT_MAX];
    for (int i = 0; i < size; i++) original[i] = re[i] = random_double(), im[i] = 0;
    fourier(re, im, size, -1);
    double power = 0, worst = 0;
    for (int i = 0; i < size; i++) power += re[i] * re[i] + im[i] * im[i];
    fourier(re, im, size, 1);
    for (int i = 0; i < size; i++) {
        double error = fabs(re[i] / size - original[i]);
        if (error > worst) worst = error;
    }
    show("power", power);
    show("round trip error", worst);
}

/* ---- Conversions, rounding and the corners of IEEE 754 ---------------------------------------------------------------------------- */
static void run_corners(void) {
    static const double values[] = {0.0, -0.0, 0.5, 1.5, 2.5, -0.5, 1e-310, 4503599627370497.5, 1e300, -1e-300};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        volatile double x = values[i];
        volatile float narrow = (float)x;
        printf("corner %zu: %g %g %g %g %g %g %.9g\n", i, floor(x), ceil(x), trunc(x), nearbyint(x), sqrt(fabs(x)),
               fmax(x, 0.0), (double)narrow);
    }
    volatile double zero = 0;
    printf("inf %g %g nan %d\n", 1 / zero, -1 / zero, isnan(zero / zero));
    volatile double big = 1e15;
    printf("conversions %lld %u %d %a\n", (long long)(big + 0.75), (unsigned)4e9, (int)-7.9, big / 3);
    show("pow", pow(1.0000001, 1e7));
    show("exp log", exp(log(10) * 2.5));
    show("atan2", atan2(-1, -2));
    show("fmod", fmod(1e10, 0.7));
}

int main(int argc, char **argv) {
    int steps = argc > 1 ? atoi(argv[1]) : 1000;
    int size = argc > 2 ? atoi(argv[2]) : 100;
    if (steps < 0 || size < 1 || size > SIZE_MAX_) {
        fputs("nbody: STEPS must not be negative, SIZE must be 1 to 256\n", stderr);
        return 2;
    }
    run_solar_system(steps);
    run_spectral_norm(size);
    run_mandelbrot(size);
    run_elimination(size);
    run_fourier(FFT_MAX);
    run_corners();
    return 0;
}
