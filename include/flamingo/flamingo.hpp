/// Everything but a platform: configs, ops, layers, the model, training and generation. Needs neither Eigen nor CUDA.
#pragma once
#include <flamingo/core/store.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/version.hpp>
