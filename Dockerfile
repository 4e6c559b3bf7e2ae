# Two images from one lock file:
#   docker build -t frod-bench:cpu .                     the main job on the CPU (the last stage)
#   docker build --target cuda -t frod-bench:cuda .      docker run --gpus all frod-bench:cuda
# Both install PyPI's build of the torch that constraints.txt pins. For Linux on x86-64 it is a CUDA
# build that brings the CUDA libraries, also into the CPU image, and runs on a machine without a GPU.
# The driver is that of the host. The images differ in their environment and in what they start.
# Results: mount a folder beside the suite, whose own results/ holds what reports compare with:
#   docker run -v "$PWD/results:/results" frod-bench:cpu make reproduce-all RESULTS=/results
FROM python:3.11-slim AS base
ENV PIP_NO_CACHE_DIR=1 WANDB_MODE=offline
# Any version of git and make will do: nothing that is measured depends on them.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /frod_bench
COPY . .
RUN make setup LOCKED=1
ENV PATH="/frod_bench/.venv/bin:${PATH}"
CMD ["make", "reproduce-all"]

FROM base AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
CMD ["frod-bench", "bench", "device=cuda"]

# Last, so that `docker build .` makes it.
FROM base AS cpu
