// One statement of Eigen's, with its own threads (OpenMP), or over a BLAS (TRIAL_OVER_BLAS). Each has a namespace of
// its own, or their functions would be taken for one another's and for those of ours.cpp.
#ifdef TRIAL_OVER_BLAS
#define EIGEN_USE_BLAS
#define Eigen EigenOverBlas
#else
#define Eigen EigenWithThreads
#endif
#include <Eigen/Core>

#include "trial.hpp"
#ifdef TRIAL_OVER_BLAS
#include <cblas.h>
#endif

namespace flamingo::bench {

#ifdef TRIAL_OVER_BLAS
std::function<void()> eigen_over_blas(const Product& p, int threads) {
  openblas_set_num_threads(threads);
#else
std::function<void()> eigen_plain(const Product& p, int threads) {
  Eigen::setNbThreads(threads);
#endif
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  return [p] {
    const Eigen::Map<const Matrix> x(p.x, p.M, p.K), w(p.w, p.N, p.K);
    Eigen::Map<Matrix> y(p.y, p.M, p.N);
    y.noalias() = x * w.transpose();
  };
}

}  // namespace flamingo::bench
