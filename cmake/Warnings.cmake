# Warnings, hardening and sanitizers for all targets. `assert` stays on in every build type.
add_compile_options(
    -Wall -Wextra -Wshadow -Wconversion -Wswitch-enum -Wmissing-prototypes -Wstrict-prototypes
    -Wformat=2 -Wpointer-arith -Wvla -fno-common)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
    # Part of its -Wconversion: assert(!"what it is") is how a place is marked that is never reached.
    add_compile_options(-Wno-string-conversion)
endif()
if(PINHOLE_WERROR)
    add_compile_options(-Werror)
endif()
if(PINHOLE_SANITIZE)
    add_compile_options(-fsanitize=${PINHOLE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${PINHOLE_SANITIZE})
endif()
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-Og -g")
add_compile_definitions(_GNU_SOURCE)
