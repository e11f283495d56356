/* nbody.c - five bodies, 64-bit floating point.  run(steps) returns the bits of the final energy. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define DAYS 365.24
#define SUN (4 * 3.141592653589793 * 3.141592653589793)
enum { BODIES = 5 };
typedef struct body { double x, y, z, vx, vy, vz, mass; } body;

static const body START[BODIES] = {
    {0, 0, 0, 0, 0, 0, SUN},
    {4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01, 1.66007664274403694e-03 * DAYS,
     7.69901118419740425e-03 * DAYS, -6.90460016972063023e-05 * DAYS, 9.54791938424326609e-04 * SUN},
    {8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01, -2.76742510726411021e-03 * DAYS,
     4.99852801234917238e-03 * DAYS, 2.30417297573763929e-05 * DAYS, 2.85885980666130812e-04 * SUN},
    {1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01, 2.96460137564761618e-03 * DAYS,
     2.37847173959480950e-03 * DAYS, -2.96589568540237556e-05 * DAYS, 4.36624404335156298e-05 * SUN},
    {1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01, 2.68067772490389322e-03 * DAYS,
     1.62824170038242295e-03 * DAYS, -9.51592254519715870e-05 * DAYS, 5.15138902046611451e-05 * SUN},
};
static body bodies[BODIES];

static void advance(double dt) {
    for (int i = 0; i < BODIES; i++) {
        for (int j = i + 1; j < BODIES; j++) {
            body *a = &bodies[i], *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double square = dx * dx + dy * dy + dz * dz, size = dt / (square * sqrt(square));
            a->vx -= dx * b->mass * size, a->vy -= dy * b->mass * size, a->vz -= dz * b->mass * size;
            b->vx += dx * a->mass * size, b->vy += dy * a->mass * size, b->vz += dz * a->mass * size;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        body *a = &bodies[i];
        a->x += dt * a->vx, a->y += dt * a->vy, a->z += dt * a->vz;
    }
}

__attribute__((visibility("default"))) int64_t run(int32_t steps) {
    memcpy(bodies, START, sizeof bodies);
    for (int32_t step = 0; step < steps; step++) advance(0.01);
    double energy = 0;
    for (int i = 0; i < BODIES; i++) {
        const body *a = &bodies[i];
        energy += 0.5 * a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz);
        for (int j = i + 1; j < BODIES; j++) {
            double dx = a->x - bodies[j].x, dy = a->y - bodies[j].y, dz = a->z - bodies[j].z;
            energy -= a->mass * bodies[j].mass / sqrt(dx * dx + dy * dy + dz * dz);
        }
    }
    int64_t bits;
    memcpy(&bits, &energy, sizeof bits);
    return bits;
}
