/* A damped pendulum: reads its parameters from a file, prints what came of it, writes its path to trace.dat. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double acceleration(double angle, double velocity, double damping)
{
    return -sin(angle) - damping * velocity;
}

int main(int argc, char **argv)
{
    double angle, damping, dt;
    long steps, i, crossings = 0;
    FILE *in = argc > 1 ? fopen(argv[1], "r") : NULL, *out;

    if (in == NULL || fscanf(in, " angle = %lf damping = %lf dt = %lf steps = %ld", &angle, &damping, &dt, &steps) != 4) {
        fprintf(stderr, "usage: pendulum FILE, with angle, damping, dt and steps\n");
        return 2;
    }
    if (dt <= 0 || dt > 1) {
        fprintf(stderr, "a time step of %g does not do\n", dt);
        return 3;
    }
    out = fopen("trace.dat", "w");
    if (out == NULL)
        return 1;
    double velocity = 0, first = 0, last = 0, largest = 0;
    for (i = 0; i < steps; i++) {
        double before = angle;
        /* The leapfrog with half a step of velocity on either side. */
        velocity += 0.5 * dt * acceleration(angle, velocity, damping);
        angle += dt * velocity;
        velocity += 0.5 * dt * acceleration(angle, velocity, damping);
        if (before > 0 && angle <= 0) {
            last = (i + before / (before - angle)) * dt;
            first = crossings++ == 0 ? last : first;
        }
        if (i >= steps / 2 && fabs(angle) > largest)
            largest = fabs(angle);
        if (i % 100 == 0)
            fprintf(out, "%.6f %.17g %.17g\n", i * dt, angle, velocity);
    }
    fclose(out);
    printf("period = %.17g\n", crossings > 1 ? (last - first) / (crossings - 1) : NAN);
    printf("swing = %.17g\n", largest);
    return 0;
}
