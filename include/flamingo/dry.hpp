/// The Dry platform: what a run over another platform would take, in bytes and operations, by the code of the run
/// itself.
///
/// Products count 2 operations a term; what goes element by element counts nothing. Nothing is read but span tables.
/// Dry<Cuda<R>> counts what Cuda takes beside the CPU too: tables, packed weights that are unpacked, attention's
/// scratch.
#pragma once
#include <flamingo/kernels/dry/activation.hpp>
#include <flamingo/kernels/dry/adamw.hpp>
#include <flamingo/kernels/dry/arrange.hpp>
#include <flamingo/kernels/dry/attention.hpp>
#include <flamingo/kernels/dry/choice.hpp>
#include <flamingo/kernels/dry/context.hpp>
#include <flamingo/kernels/dry/convolution.hpp>
#include <flamingo/kernels/dry/cross_entropy.hpp>
#include <flamingo/kernels/dry/dropout.hpp>
#include <flamingo/kernels/dry/embedding.hpp>
#include <flamingo/kernels/dry/excitation.hpp>
#include <flamingo/kernels/dry/linear.hpp>
#include <flamingo/kernels/dry/norm.hpp>
#include <flamingo/kernels/dry/pooling.hpp>
#include <flamingo/kernels/dry/residual.hpp>
#include <flamingo/kernels/dry/rotary.hpp>
#include <flamingo/kernels/dry/sinusoid.hpp>
#include <flamingo/kernels/dry/split.hpp>
#include <flamingo/kernels/dry/standardise.hpp>
