# Makes the imported target regulon::libtorch out of the pinned PyTorch wheel.
#
# The wheel's own find_package(Torch) wants a CUDA toolkit; the CPU program needs only the wheel's headers,
# libtorch_cpu.so, libc10.so and its OpenMP runtime. The wheel is looked for in this order:
#   1. REGULON_TORCH_DIR, a CMake or an environment variable: the folder `torch` of the wheel
#   2. .venv of the Regulon repository, or of the project that is being configured
#   3. the wheel that an installed SDK was built with (REGULON_TORCH_HINT, set by regulonConfig.cmake)
#   4. what python3 would import
# Sets REGULON_TORCH_DIR_FOUND and REGULON_TORCH_VERSION.

if(TARGET regulon::libtorch)
  return()
endif()

# Sets <out> to the value of KEY in versions.txt.
function(regulon_pinned_version key out)
  file(STRINGS "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/versions.txt" line REGEX "^${key}=")
  string(REGEX REPLACE "^[^=]*=" "" value "${line}")
  set(${out} "${value}" PARENT_SCOPE)
endfunction()

# Sets <out> to the wheel's folder, or to an empty string.
function(regulon_find_torch_dir out)
  if(REGULON_TORCH_DIR)
    set(${out} "${REGULON_TORCH_DIR}" PARENT_SCOPE)
    return()
  elseif(NOT "$ENV{REGULON_TORCH_DIR}" STREQUAL "")
    set(${out} "$ENV{REGULON_TORCH_DIR}" PARENT_SCOPE)
    return()
  endif()
  file(GLOB candidates LIST_DIRECTORIES true
       "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../../.venv/lib/python3*/site-packages/torch"
       "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
  list(APPEND candidates ${REGULON_TORCH_HINT})
  foreach(candidate IN LISTS candidates)
    if(EXISTS "${candidate}/lib/libtorch_cpu.so")
      get_filename_component(candidate "${candidate}" ABSOLUTE)
      set(${out} "${candidate}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  # find_spec only looks; importing torch would take seconds.
  execute_process(
    COMMAND python3 -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(found "")
  endif()
  set(${out} "${found}" PARENT_SCOPE)
endfunction()

# Sets <out> to the version that the wheel's headers state: the one a plugin is truly compiled against.
function(regulon_torch_header_version torch_dir out)
  set(version "unknown")
  foreach(header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
    if(EXISTS "${torch_dir}/include/${header}")
      file(READ "${torch_dir}/include/${header}" text)
      if(text MATCHES "define TORCH_VERSION[ \\\n]+\"([^\"]+)\"")
        set(version "${CMAKE_MATCH_1}")
        break()
      endif()
    endif()
  endforeach()
  set(${out} "${version}" PARENT_SCOPE)
endfunction()

# Makes regulon::<name>, an imported shared library at <path>.
function(regulon_import_torch_library name path)
  if(NOT EXISTS "${path}")
    message(FATAL_ERROR "LibTorch is not whole: ${path} is missing. Remove the wheel's folder and install it again.")
  endif()
  add_library(regulon::${name} SHARED IMPORTED)
  get_filename_component(soname "${path}" NAME)
  set_target_properties(regulon::${name} PROPERTIES IMPORTED_LOCATION "${path}" IMPORTED_SONAME "${soname}")
endfunction()

regulon_pinned_version(TORCH_VERSION _regulon_torch_pin)
regulon_find_torch_dir(REGULON_TORCH_DIR_FOUND)
if(NOT EXISTS "${REGULON_TORCH_DIR_FOUND}/include/ATen/core/Tensor.h")
  message(FATAL_ERROR
    "LibTorch ${_regulon_torch_pin} was not found (looked at: '${REGULON_TORCH_DIR_FOUND}').\n"
    "Install the wheel (pip install --no-deps torch==${_regulon_torch_pin}) or set REGULON_TORCH_DIR to its folder 'torch'.")
endif()
regulon_torch_header_version("${REGULON_TORCH_DIR_FOUND}" REGULON_TORCH_VERSION)
if(NOT REGULON_TORCH_VERSION VERSION_EQUAL _regulon_torch_pin)
  message(FATAL_ERROR
    "LibTorch in ${REGULON_TORCH_DIR_FOUND} is version ${REGULON_TORCH_VERSION}; this SDK needs ${_regulon_torch_pin}, "
    "since a plugin built on another version is refused.\nSet REGULON_TORCH_DIR to a wheel of that version.")
endif()
message(STATUS "LibTorch ${REGULON_TORCH_VERSION}: ${REGULON_TORCH_DIR_FOUND}")

regulon_import_torch_library(torch_cpu "${REGULON_TORCH_DIR_FOUND}/lib/libtorch_cpu.so")
regulon_import_torch_library(c10 "${REGULON_TORCH_DIR_FOUND}/lib/libc10.so")
file(GLOB _regulon_gomp "${REGULON_TORCH_DIR_FOUND}/lib/libgomp*.so*"
     "${REGULON_TORCH_DIR_FOUND}/../torch.libs/libgomp*.so*")
list(GET _regulon_gomp 0 _regulon_gomp)
regulon_import_torch_library(gomp "${_regulon_gomp}")

add_library(regulon::libtorch INTERFACE IMPORTED)
# -fopenmp only compiles: at::parallel_for is written in the headers. Linking names the wheel's own runtime, so that a
# process never holds two OpenMP thread pools. The headers bring their own fmt, newer than the system's library.
set_target_properties(regulon::libtorch PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "${REGULON_TORCH_DIR_FOUND}/include"
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${REGULON_TORCH_DIR_FOUND}/include"
  INTERFACE_COMPILE_OPTIONS "$<$<COMPILE_LANGUAGE:CXX>:-fopenmp>"
  INTERFACE_COMPILE_DEFINITIONS "FMT_HEADER_ONLY=1;REGULON_TORCH_VERSION=\"${REGULON_TORCH_VERSION}\""
  INTERFACE_LINK_LIBRARIES "regulon::torch_cpu;regulon::c10;regulon::gomp")
