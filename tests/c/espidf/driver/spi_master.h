#ifndef SPI_MASTER_H
#define SPI_MASTER_H

typedef enum spi_host_device_t { SPI2_HOST = 1, SPI3_HOST } spi_host_device_t;
#define SPI_DMA_CH_AUTO 3

typedef struct spi_bus_config_t {
    int mosi_io_num;
    int miso_io_num;
    int sclk_io_num;
    int quadwp_io_num;
    int quadhd_io_num;
    int max_transfer_sz;
} spi_bus_config_t;

int spi_bus_initialize(spi_host_device_t host, const spi_bus_config_t *config, int dma);

#endif
