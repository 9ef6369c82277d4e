// eigen.cpp once more, over a BLAS.
#define TRIAL_OVER_BLAS
#include "eigen.cpp"
