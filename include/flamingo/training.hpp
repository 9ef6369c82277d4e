/// What trains a model of flamingo.hpp: mixtures, schedules, the optimiser, the trainer of a connector and that of a
/// language model. Contrastive training of encoders is in vision.hpp; checkpoints, logs and reports are headers of
/// train/.
#pragma once
#include <flamingo/flamingo.hpp>
#include <flamingo/train/language_model.hpp>
#include <flamingo/train/trainer.hpp>
