#include "tensor/gemm_backend.h"
#include "tensor/kernels.h"

#include <omp.h>

static const adamix_attention_kernels *
attention_of (const adamix_compute *compute)
{
  const bool bf16 = compute->frozen->operand == ADAMIX_DTYPE_BF16;
  return bf16 ? &compute->kernels->attention_bf16 : &compute->kernels->attention;
}

adamix_err
adamix_compute_select (adamix_compute *out, const char *gemm, const char *isa, int threads)
{
  adamix_compute compute = { .threads = threads > 0 ? threads : omp_get_max_threads () };
  ADAMIX_RETURN_IF (adamix_gemm_select (&compute.gemm, gemm));
  compute.frozen = compute.gemm;
  ADAMIX_RETURN_IF (adamix_kernels_select (&compute.kernels, isa));
  compute.attention = attention_of (&compute);
  omp_set_num_threads (compute.threads);
  omp_set_max_active_levels (1);
  adamix_gemm_blas_one_thread ();
  *out = compute;
  return ADAMIX_OK;
}

adamix_err
adamix_compute_precision (adamix_compute *compute, const char *precision)
{
  ADAMIX_RETURN_IF (adamix_gemm_lower (&compute->frozen, compute->gemm, precision));
  compute->attention = attention_of (compute);
  return ADAMIX_OK;
}

adamix_err
adamix_compute_agree (adamix_compute *out, adamix_comm *comm, const char *gemm, const char *precision, const char *isa,
                      int threads)
{
  adamix_err err = adamix_compute_select (out, gemm, isa, threads);
  if (!err) err = adamix_compute_precision (out, precision);
  ADAMIX_RETURN_IF (adamix_comm_agree (comm, err));
  double place = adamix_kernels_place (out->kernels);
  ADAMIX_RETURN_IF (adamix_comm_max_f64 (comm, &place, 1));
  out->kernels = adamix_kernels_at ((int) place);
  out->attention = attention_of (out);
  return ADAMIX_OK;
}
