// MinHash signatures of documents: the same as kernels/minhash.py defines, to the bit. One block of threads takes one
// document after the other, in tiles of its bytes: find where tokens start, hash tokens, join shingles, lower minima.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define THREADS 128
#define TILE 2048               // bytes looked at together, 16 for each thread
#define OWN (TILE / THREADS)
#define MOST_WORDS 64           // tokens in a shingle
#define MOST_TOKENS (TILE + MOST_WORDS)

__device__ __forceinline__ u64 mix64(u64 x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

__device__ __forceinline__ u32 lowered(u32 byte) { return byte - 'A' < 26u ? byte + 32 : byte; }

__device__ __forceinline__ bool is_word(u32 byte) {
    u32 c = lowered(byte);
    return c >= 0x80 || c - '0' < 10u || c - 'a' < 26u || c == '_';
}

// data u8 [n_bytes], offsets i64 [n_documents + 1], a and b u32 [permutations] -> signatures u32 [n_documents,
// permutations], filled with 2^32 - 1 beforehand. words: 1 to MOST_WORDS. THREADS threads in a block, any number of blocks.
extern "C" __global__ void __launch_bounds__(THREADS)
minhash(const u8* __restrict__ data, const long long* __restrict__ offsets, int n_documents,
        const u32* __restrict__ a, const u32* __restrict__ b, int permutations, int words, u32* __restrict__ signatures) {
    __shared__ u64 hashes[MOST_TOKENS];       // of tokens: the last words - 1 of the tile before, then this tile's
    __shared__ u32 starts[TILE];              // of tokens, from the tile's first byte
    __shared__ __align__(16) u32 x[MOST_TOKENS + 4];
    __shared__ u32 counts[THREADS];

    const int t = threadIdx.x;
    for (int document = blockIdx.x; document < n_documents; document += gridDim.x) {
        const long long begin = offsets[document], end = offsets[document + 1];
        u32* least = signatures + (long long)document * permutations;
        int carried = 0;       // hashes kept from before
        bool joined = false;   // has there been a shingle of full length?
        for (long long tile = begin; tile < end; tile += TILE) {
            // which of its 16 bytes start a token: one bit each
            const long long own = tile + t * OWN;
            u32 mask = 0;
            bool after_word = own > begin && own <= end && is_word(data[own - 1]);
            for (int i = 0; i < OWN && own + i < end; i++) {
                const u32 byte = data[own + i];
                const bool word = is_word(byte);
                mask |= (u32)((word && !after_word) || byte >= 0xE3) << i;
                after_word = word;
            }
            counts[t] = __popc(mask);
            __syncthreads();
            int place = 0, n = 0;
            for (int k = 0; k < THREADS; k++) {  // every thread reads the same word: no conflict
                place += k < t ? counts[k] : 0;
                n += counts[k];
            }
            for (; mask; mask &= mask - 1) starts[place++] = t * OWN + __ffs(mask) - 1;
            __syncthreads();
            // a token ends at a separator or at the next start, which may lie behind the tile
            for (int token = t; token < n; token += THREADS) {
                long long i = tile + starts[token];
                u64 h = lowered(data[i]);
                for (i++; i < end; i++) {
                    const u32 byte = data[i];
                    if (byte >= 0xE3 || !is_word(byte)) break;
                    h = h * 0x9E3779B97F4A7C15ull + lowered(byte);
                }
                hashes[carried + token] = mix64(h);
            }
            __syncthreads();
            const int all = carried + n;
            const bool last = tile + TILE >= end;
            int width = words, shingles = all - words + 1;
            if (shingles < 1) {  // a short document has one shingle of all its tokens
                width = all;
                shingles = last && !joined && all > 0;
            }
            joined = joined || all >= words;
            for (int i = t; i < shingles; i += THREADS) {
                u64 s = 0;
                for (int k = 0; k < width; k++) s = s * 0xD6E8FEB86659FD93ull + hashes[i + k];
                x[i] = (u32)(mix64(s) >> 32);
            }
            __syncthreads();
            if (t < 3 && shingles > 0) x[shingles + t] = x[shingles - 1];  // a minimum does not mind being asked twice
            const int keep = all < words - 1 ? all : words - 1;
            const u64 kept = t < keep ? hashes[all - keep + t] : 0;
            __syncthreads();
            if (t < keep) hashes[t] = kept;
            carried = keep;
            if (shingles > 0) {
                for (int p = t; p < permutations; p += THREADS) {
                    const u32 f = a[p], s = b[p];
                    u32 low = least[p];
                    for (int i = 0; i < shingles; i += 4) {
                        const uint4 four = *(const uint4*)(x + i);
                        low = min(low, min(min(f * four.x + s, f * four.y + s), min(f * four.z + s, f * four.w + s)));
                    }
                    least[p] = low;
                }
            }
            __syncthreads();
        }
    }
}
