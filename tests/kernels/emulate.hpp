// Enough of CUDA to run one block of a kernel on the CPU, a thread of the system for each of its threads.
#include <algorithm>
#include <barrier>
#include <thread>
#include <vector>

struct Index { int x; };
struct uint4 { unsigned x, y, z, w; };
static thread_local Index threadIdx;
static Index blockIdx, gridDim;
static std::barrier<>* gate;

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)
#define __shared__ static
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __syncthreads() gate->arrive_and_wait()
#define __popc __builtin_popcount
#define __ffs __builtin_ffs
using std::min;

#include "minhash.cu"

extern "C" void run(const u8* data, const long long* offsets, int n, const u32* a, const u32* b, int permutations,
                    int words, u32* signatures, int blocks) {
    gridDim.x = blocks;
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++) {
        std::barrier<> all(THREADS);
        gate = &all;
        std::vector<std::thread> threads;
        for (int t = 0; t < THREADS; t++)
            threads.emplace_back([=] {
                threadIdx.x = t;
                minhash(data, offsets, n, a, b, permutations, words, signatures);
            });
        for (auto& thread : threads) thread.join();
    }
}
