/// The CPU platform: its context and kernels. Include it in each translation unit that computes, before what uses a
/// Context<Cpu<...>>; before or after flamingo.hpp.
#pragma once
#include <flamingo/kernels/cpu/activation.hpp>
#include <flamingo/kernels/cpu/adamw.hpp>
#include <flamingo/kernels/cpu/arrange.hpp>
#include <flamingo/kernels/cpu/attention.hpp>
#include <flamingo/kernels/cpu/choice.hpp>
#include <flamingo/kernels/cpu/context.hpp>
#include <flamingo/kernels/cpu/convolution.hpp>
#include <flamingo/kernels/cpu/cross_entropy.hpp>
#include <flamingo/kernels/cpu/dropout.hpp>
#include <flamingo/kernels/cpu/embedding.hpp>
#include <flamingo/kernels/cpu/excitation.hpp>
#include <flamingo/kernels/cpu/linear.hpp>
#include <flamingo/kernels/cpu/norm.hpp>
#include <flamingo/kernels/cpu/pooling.hpp>
#include <flamingo/kernels/cpu/residual.hpp>
#include <flamingo/kernels/cpu/rotary.hpp>
#include <flamingo/kernels/cpu/sinusoid.hpp>
#include <flamingo/kernels/cpu/split.hpp>
#include <flamingo/kernels/cpu/standardise.hpp>
