/// Libraries that must be refused before or while they are loaded. Compile definitions choose the defect;
/// what is not replaced is as it should be. Without torch: such a library is never called.

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#if defined(__clang__)
#define TRUE_COMPILER "clang " TEXT(__clang_major__)
#else
#define TRUE_COMPILER "gcc " TEXT(__GNUC__)
#endif

#ifndef MANIFEST_SDK
#define MANIFEST_SDK TRUE_SDK
#endif
#ifndef MANIFEST_TORCH
#define MANIFEST_TORCH TRUE_TORCH
#endif
#ifndef MANIFEST_COMPILER
#define MANIFEST_COMPILER TRUE_COMPILER
#endif
#ifndef MANIFEST_INTERFACE
#define MANIFEST_INTERFACE "loss_term/1"
#endif
#ifndef MANIFEST_NAME_AS
#define MANIFEST_NAME_AS MANIFEST_NAME
#endif

namespace regulon {
/// Declared and nowhere defined.
void gone_from_the_sdk(int number);
}  // namespace regulon

extern "C" {

#ifndef NO_MANIFEST
extern __attribute__((visibility("default"), used, section(".regulon"))) const char regulon_manifest[] =
    "regulon-manifest\nsdk=" MANIFEST_SDK "\ninterface=" MANIFEST_INTERFACE "\nname=" MANIFEST_NAME_AS
    "\ntorch=" MANIFEST_TORCH "\ncompiler=" MANIFEST_COMPILER "\n";
#endif

#ifndef NO_ENTRY
/// Leaves the descriptor as it is: nameless, so that it disagrees with every manifest.
__attribute__((visibility("default"))) void regulon_plugin(void*) {
#ifdef UNDEFINED_SYMBOL
  regulon::gone_from_the_sdk(1);
#endif
}
#endif

}  // extern "C"
