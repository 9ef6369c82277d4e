// mpirun -n N test_mpi CASE ARGUMENT...
#include <array>
#include <cstdio>
#include <string_view>
#include <utility>

#include "dist/mpi/cases.hpp"

int main(int argc, char** argv) {
  using namespace flamingo;
  using namespace flamingo::test;
  using Case = void (*)(dist::MpiTransport&, Arguments);
  constexpr std::array<std::pair<std::string_view, Case>, 5> cases{{{"training", train_together},
                                                                    {"run", train_until},
                                                                    {"failing", fail_alone},
                                                                    {"split", split_blocks},
                                                                    {"contrastive", contrast}}};
  return dist::MpiJob::run(argc, argv, [&] {
    dist::MpiTransport transport(std::chrono::seconds(120));
    check(argc > 1, "test_mpi", "no case is named");
    for (const auto& [name, run] : cases)
      if (name == argv[1]) {
        run(transport, Arguments(argv + 2, static_cast<std::size_t>(argc - 2)));
        if (transport.rank() == 0) std::printf("%s over %d processes: passed\n", argv[1], transport.size());
        return 0;
      }
    fail("test_mpi", "there is no case ", argv[1]);
  });
}
