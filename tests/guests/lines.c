// Traps behind inlined functions, for backtraces with lines. `build` makes lines.wasm from it, with DWARF.
typedef unsigned int u32;

static volatile u32 sink;

static inline __attribute__((always_inline)) u32 quotient(u32 dividend, u32 divisor) {
  return dividend / divisor;
}

static inline __attribute__((always_inline)) u32 mean(const u32 *values, u32 count) {
  u32 sum = 0;
  for (u32 i = 0; i < count; i++) sum += values[i];
  return quotient(sum, count);
}

__attribute__((noinline)) static u32 summarize(const u32 *values, u32 count) {
  sink = count;
  u32 result = mean(values, count);
  sink = result;
  return result;
}

__attribute__((export_name("divide"))) u32 divide(u32 count) {
  static const u32 values[] = {1, 2, 3};
  return summarize(values, count) + 1;
}

__attribute__((export_name("load"))) u32 load(u32 address) {
  const u32 *place = (const u32 *)address;
  return *place;
}

__attribute__((export_name("_start"))) void start(void) {
  divide(0);
}
