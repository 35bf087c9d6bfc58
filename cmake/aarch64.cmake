# SPDX-License-Identifier: Apache-2.0
# Builds for aarch64 on another machine (the preset `aarch64`; scripts/aarch64.sh does all of it).
# SHADOWCL_AARCH64_ROOT is a root of Debian's arm64 packages, which need not be able to run: headers
# and libraries are taken from there alone. Where qemu-aarch64-static is there, tests run under it.
# With -DCMAKE_C_COMPILER=clang, clang is the compiler.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(SHADOWCL_AARCH64_ROOT ${CMAKE_CURRENT_LIST_DIR}/../build-aarch64/root CACHE PATH
  "A root of Debian's arm64 packages")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SHADOWCL_AARCH64_ROOT)
get_filename_component(root ${SHADOWCL_AARCH64_ROOT} ABSOLUTE)
if(NOT EXISTS ${root}/usr/lib/aarch64-linux-gnu)
  message(FATAL_ERROR "${root} has no libraries for aarch64: scripts/aarch64.sh makes such a root")
endif()
set(CMAKE_SYSROOT ${root})

if(NOT CMAKE_C_COMPILER)
  set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
endif()
set(CMAKE_C_COMPILER_TARGET aarch64-linux-gnu)
set(CMAKE_ASM_COMPILER_TARGET aarch64-linux-gnu)

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${root})
set(ENV{PKG_CONFIG_LIBDIR}
  ${root}/usr/lib/aarch64-linux-gnu/pkgconfig:${root}/usr/share/pkgconfig)

find_program(SHADOWCL_AARCH64_EMULATOR NAMES qemu-aarch64-static qemu-aarch64)
if(SHADOWCL_AARCH64_EMULATOR)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${SHADOWCL_AARCH64_EMULATOR} -L ${root})
endif()
