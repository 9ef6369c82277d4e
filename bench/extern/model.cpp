#include "model.hpp"

#include <flamingo/cpu.hpp>

template struct flamingo::Store<Model::Connect, P>;
template struct flamingo::Store<Model::Decoder, P>;
template class flamingo::Engine<Model, Connector::Views, Lm::Views>;
template flamingo::CachedMedium MyEngine::add_medium(const Features&, int, int, int);
template flamingo::Generated flamingo::generate(MyEngine&, flamingo::TextState&, const flamingo::GenerateOptions&);
