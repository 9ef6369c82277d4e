/// The CUDA platform: its kernels so far, what a Flamingo and its vision encoders need, in training and in generation.
/// Include it before or after flamingo.hpp, in each .cu file that computes.
#pragma once
#include <flamingo/kernels/cuda/activation.cuh>
#include <flamingo/kernels/cuda/adamw.cuh>
#include <flamingo/kernels/cuda/arrange.cuh>
#include <flamingo/kernels/cuda/attention.cuh>
#include <flamingo/kernels/cuda/choice.cuh>
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/convolution.cuh>
#include <flamingo/kernels/cuda/cross_entropy.cuh>
#include <flamingo/kernels/cuda/dropout.cuh>
#include <flamingo/kernels/cuda/embedding.cuh>
#include <flamingo/kernels/cuda/excitation.cuh>
#include <flamingo/kernels/cuda/fused_linear.cuh>
#include <flamingo/kernels/cuda/linear.cuh>
#include <flamingo/kernels/cuda/norm.cuh>
#include <flamingo/kernels/cuda/pooling.cuh>
#include <flamingo/kernels/cuda/residual.cuh>
#include <flamingo/kernels/cuda/rotary.cuh>
#include <flamingo/kernels/cuda/sinusoid.cuh>
#include <flamingo/kernels/cuda/split.cuh>
#include <flamingo/kernels/cuda/standardise.cuh>
