/// The non-linearities of configs as raw kernels know them: by type.
#pragma once
#include <type_traits>

#include <flamingo/core/kinds.hpp>
#include <flamingo/kernels/cuda/raw/nonlinearity.cuh>

namespace flamingo::kernels {

namespace detail {

template <Activation A>
struct FunctionOf;
template <>
struct FunctionOf<Activation::identity> : std::type_identity<raw::Identity> {};
template <>
struct FunctionOf<Activation::gelu> : std::type_identity<raw::Gelu> {};
template <>
struct FunctionOf<Activation::gelu_tanh> : std::type_identity<raw::GeluTanh> {};
template <>
struct FunctionOf<Activation::quick_gelu> : std::type_identity<raw::QuickGelu> {};
template <>
struct FunctionOf<Activation::silu> : std::type_identity<raw::Silu> {};
template <>
struct FunctionOf<Activation::relu> : std::type_identity<raw::Relu> {};
template <>
struct FunctionOf<Activation::relu6> : std::type_identity<raw::Relu6> {};
template <>
struct FunctionOf<Activation::squared_relu> : std::type_identity<raw::SquaredRelu> {};

}  // namespace detail

}  // namespace flamingo::kernels
