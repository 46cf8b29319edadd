"""What the C++ compiler is given at once: several translated programs, each with its density in it once.

A program takes some six seconds, of which half is what every program makes of Stan's own templates: more programs than
there are cores are compiled in as many units as there are cores, and linked to an executable each. What CmdStan's own
object has of Boost, which is linked to each of them, is not compiled again.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

MODEL = "model"  # what every program is called where it is compiled; messages give it its own name
# Programs of a unit (ours): each takes some 100 MB of the compiler's memory more.
_MOST = 4
# What a translated program defines for its executable: in a unit each has its own.
_OWN = (f"{MODEL}_model_namespace", "stan_model", "new_model", "get_stan_profile_data")

# The methods for std::vector, which no sampler calls at each step: as Stan 2.27 and as Stan of today write them.
_DENSITY = re.compile(
    r"(log_prob\(std::vector<(T_+)>& params_r,[^{}]*\{)"
    r"\s*return log_prob_impl<propto__, jacobian__>\(params_r, params_i, pstream\);"
)
_WRITING = re.compile(
    r"(write_array\(RNG& base_rng, std::vector<double>& params_r,[^{}]*\{)"
    r"([^{}]*write_array_impl\(base_rng, )params_r,"
)

# Classes of Boost whose static members start its functions: a second of the compiler's time in every unit.
_STARTING = re.compile(r"guard variable for (boost::math::.*)::initializer$", re.MULTILINE)

_MAKEFILE = """\
include makefile
{unit}.o: {unit}.hpp $(PRECOMPILED_MODEL_HEADER)
	$(COMPILE.cpp) $(CXXFLAGS_PROGRAM) -x c++ -o $@ $<
{targets}: %: %.number {unit}.o $(CMDSTAN_MAIN_O) $(LIBSUNDIALS) $(MPI_TARGETS) $(TBB_TARGETS)
	$(COMPILE.cpp) -x c++ -o $@.o $<
	$(LINK.cpp) $@.o {unit}.o $(CMDSTAN_MAIN_O) $(LDLIBS) $(LIBSUNDIALS) $(MPI_TARGETS) $(TBB_TARGETS) -o $@
"""


def shared_out[T](sizes: Mapping[T, int], at_once: int) -> list[list[T]]:
    """Programs, by their sizes, in as many units as are compiled at once: the largest first, each to the least unit."""
    number = max(min(len(sizes), at_once), math.ceil(len(sizes) / _MOST))
    units: list[list[T]] = [[] for _ in range(number)]
    for program in sorted(sizes, key=lambda p: -sizes[p]):
        room = [unit for unit in units if len(unit) < _MOST]
        min(room, key=lambda unit: sum(sizes[p] for p in unit)).append(program)
    return units


def density_once(translated: str) -> str:
    """C++ of a program whose methods for std::vector go by those for Eigen's vectors: same values, half the templates.

    The same text where it is written in a way that is not known.
    """
    of = "Eigen::Matrix<{0}, -1, 1>(Eigen::Map<Eigen::Matrix<{0}, -1, 1>>(params_r.data(), params_r.size()))"
    # They stay until the gradient is taken, after the return: what is to be differentiated may still look at them.
    stay = f"auto& values = *stan::math::make_chainable_ptr({of.format(r'\2')});"
    density = rf"\1\n{stay}\nreturn log_prob<propto__, jacobian__>(values, pstream);"
    return _WRITING.sub(rf"\1\nauto values = {of.format('double')};\2values,", _DENSITY.sub(density, translated))


def compiled_before(main_object: Path) -> list[str]:
    """C++ that says of which classes an object that is linked to every program has the static members.

    None where there is no such object, or no ``nm`` to read it by.
    """
    try:
        listed = subprocess.run(["nm", "-C", main_object], capture_output=True, text=True, check=False)
    except OSError:
        return []
    return [f"extern template struct {name};" for name in _STARTING.findall(listed.stdout)]


def write_unit(unit: Path, programs: Sequence[Path], before: Sequence[str] = ()) -> Path:
    """A makefile for the folder of CmdStan that makes these executables, whose C++ is beside them, as one unit.

    ``programs`` are paths of executables to be; ``unit`` is the path of the files that are written, without an ending;
    ``before`` is what ``compiled_before`` says.
    """
    numbered = list(enumerate(programs))
    lines = ["#include <stan/model/model_header.hpp>", *before, "extern const int program_number;"]
    for number, program in numbered:
        lines += [f"#define {name} {name}_{number}" for name in _OWN]
        lines += [f'#include "{program}.hpp"', *(f"#undef {name}" for name in _OWN)]
        program.with_name(f"{program.name}.number").write_text(f"extern const int program_number = {number};\n")
    arguments = "stan::io::var_context& data, unsigned int seed, std::ostream* messages"
    lines += _by_number(f"stan::model::model_base& new_model({arguments})", "data, seed, messages", len(numbered))
    lines += _by_number("stan::math::profile_map& get_stan_profile_data()", "", len(numbered))
    unit.with_suffix(".hpp").write_text("\n".join([*lines, ""]))
    makefile = unit.with_suffix(".mk")
    makefile.write_text(_MAKEFILE.format(unit=unit, targets=" ".join(map(str, programs))))
    return makefile


def _by_number(function: str, arguments: str, number: int) -> list[str]:
    """A function of C++ that calls the one of the program whose number the executable has."""
    name = function.partition("(")[0].split()[-1]
    cases = [f"    case {i}: return {name}_{i}({arguments});" for i in range(number)]
    return [
        f"{function} {{",
        "  switch (program_number) {",
        *cases,
        "  }",
        '  throw std::logic_error("no such program");',
        "}",
    ]
